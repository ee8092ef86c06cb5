"""The codes, names and scripts of languages, and the detection of a text's language. Does not import torch.

Codes are ISO 639-1. `DEMO_LANGUAGES` are the eight languages of xGQA (arXiv:2109.06082, table 1).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

DEMO_LANGUAGES: Final = ("en", "de", "pt", "ru", "id", "bn", "ko", "zh")

MANY_SUBWORDS: Final = 100_000
"""A published text encoder with a larger vocabulary reads many languages: English takes about 30,000 subwords."""

AUTO: Final = "auto"
"""Stands in place of a language code for a text whose language is unknown."""

NAMES: Final = {
    "en": "English",
    "de": "German",
    "pt": "Portuguese",
    "ru": "Russian",
    "id": "Indonesian",
    "bn": "Bengali",
    "ko": "Korean",
    "zh": "Chinese",
}

_LATIN: Final = "LATIN"
_KANA: Final = {"HIRAGANA", "KATAKANA"}
_WRITTEN_IN: Final = {
    "ARABIC": "ar fa ku ug ur",
    "ARMENIAN": "hy",
    "BENGALI": "as bn",
    "CJK": "ja zh",
    "CYRILLIC": "be bg kk ky mk mn ru sr tg uk",
    "DEVANAGARI": "hi mr ne sa",
    "ETHIOPIC": "am ti",
    "GEORGIAN": "ka",
    "GREEK": "el",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "HANGUL": "ko",
    "HEBREW": "he yi",
    "KANNADA": "kn",
    "KHMER": "km",
    "LAO": "lo",
    "MALAYALAM": "ml",
    "MYANMAR": "my",
    "ORIYA": "or",
    "SINHALA": "si",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
    "TIBETAN": "bo",
}
"""Languages by the first word of their letters' Unicode names. Any other language is written in Latin letters."""
_SCRIPT_OF: Final = {code: script for script, codes in _WRITTEN_IN.items() for code in codes.split()}

_FAMILIES: Final = (
    "af da de en is lb nb nl nn no sv yi",
    "ca es fr gl it pt ro",
    "be bg bs cs hr mk pl ru sk sl sr uk",
    "as bn gu hi mr ne or pa si ur",
    "id jv ms su tl",
    "kn ml ta te",
    "ar he mt am ti",
    "az kk ky tr ug uz",
    "et fi hu",
)
"""Groups of similar languages."""

KNOWN: Final = tuple(dict.fromkeys((*DEMO_LANGUAGES, *sorted({*_SCRIPT_OF, *" ".join(_FAMILIES).split()}))))
"""All languages that this module knows. A model for any language is asked in these."""

_MALAY: Final = {"id": "ms"}
"""The code in `eldc` of a language that it names otherwise: it does not tell Indonesian and Malay apart."""


def language_code(tag: str) -> str:
    """Returns the language code of a tag: `DE`, `de-DE` and `de_AT` all give `de`."""
    return re.split("[-_]", tag.strip().lower(), maxsplit=1)[0]


def detect(text: str, among: Sequence[str] = DEMO_LANGUAGES) -> str:
    """Returns which of the languages `among` a text is in, or `AUTO` if the text does not show it.

    The script of most letters decides if only one of the languages is written in it; otherwise the words decide.
    """
    scripts = _scripts(text)
    if not scripts:
        return AUTO
    if scripts.keys() & _KANA:  # beside Chinese characters, which then are Japanese
        return "ja" if "ja" in among else AUTO
    written = tuple(code for code in among if script_of(code) == scripts.most_common(1)[0][0])
    return written[0] if len(written) == 1 else _tell_apart(written)(text) if written else AUTO


def script(text: str) -> str:
    """Returns the script of most letters: the first word of their Unicode names, such as LATIN or HANGUL.

    A text with kana gives CJK, as Japanese does. A text without letters gives an empty string.
    """
    scripts = _scripts(text)
    if scripts.keys() & _KANA:
        return "CJK"
    return scripts.most_common(1)[0][0] if scripts else ""


def script_of(code: str) -> str:
    """Returns the script of a language."""
    return _SCRIPT_OF.get(code, _LATIN)


def nearest(code: str, among: Sequence[str]) -> str:
    """Returns a language in `among` of the family of `code`, else one in its script, else the first."""
    family = next((family.split() for family in _FAMILIES if code in family.split()), [])
    alike = [other for other in among if other in family]
    return next(iter([*alike, *(other for other in among if script_of(other) == script_of(code)), *among]))


def _scripts(text: str) -> Counter[str]:
    return Counter(unicodedata.name(letter, "").split(" ")[0] for letter in text if letter.isalpha())


@lru_cache
def _tell_apart(languages: Sequence[str]) -> Callable[[str], str]:
    """Returns a function that tells languages of one script apart by pieces of words, in about 3 microseconds."""
    import eldc

    eldc.init()
    named = {_MALAY.get(code, code): code for code in languages}
    detector = eldc.instance()
    detector.set_languages([name for name in named if name in eldc.LANGUAGES])
    return lambda text: named.get(detector.detect(text.encode(errors="ignore").decode()), AUTO)
