"""The languages this project speaks of: codes, names, scripts, and in which of them a text is. No torch, no grammar.

Codes are ISO 639-1. `DEMO_LANGUAGES` are xGQA's eight (arXiv:2109.06082, table 1).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

DEMO_LANGUAGES: Final = ("en", "de", "pt", "ru", "id", "bn", "ko", "zh")

AUTO: Final = "auto"
"""Stands where a language's code would, for a text whose language nobody said and nothing shows."""

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
"""Languages by the first word of their letters' Unicode names; any other is written in Latin letters."""
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
"""Languages that have much in common."""

KNOWN: Final = tuple(dict.fromkeys((*DEMO_LANGUAGES, *sorted({*_SCRIPT_OF, *" ".join(_FAMILIES).split()}))))
"""All that something is known of here: what a model for any language is asked in."""

_MALAY: Final = {"id": "ms"}
"""What `eldc` calls a language where it has another name for it: it does not tell Indonesian and Malay apart."""


def language_code(tag: str) -> str:
    """The code of a language by its tag: `DE`, `de-DE` and `de_AT` are all `de`."""
    return re.split("[-_]", tag.strip().lower(), maxsplit=1)[0]


def detect(text: str, among: Sequence[str] = DEMO_LANGUAGES) -> str:
    """The one of the languages `among` that `text` is in; `AUTO` where nothing shows.

    By the script of most of its letters where one of the languages alone is written in it, else by its words.
    """
    scripts = _scripts(text)
    if not scripts:
        return AUTO
    if scripts.keys() & _KANA:  # beside Chinese characters, which then are Japanese
        return "ja" if "ja" in among else AUTO
    written = tuple(code for code in among if script_of(code) == scripts.most_common(1)[0][0])
    return written[0] if len(written) == 1 else _tell_apart(written)(text) if written else AUTO


def script(text: str) -> str:
    """The first word of the Unicode names of most letters, such as LATIN or HANGUL; CJK beside kana, as in Japanese;
    nothing without letters."""
    scripts = _scripts(text)
    if scripts.keys() & _KANA:
        return "CJK"
    return scripts.most_common(1)[0][0] if scripts else ""


def script_of(code: str) -> str:
    """The one that a language is written in."""
    return _SCRIPT_OF.get(code, _LATIN)


def nearest(code: str, among: Sequence[str]) -> str:
    """Of these languages one of the family of `code`, else one in its script, else the first."""
    family = next((family.split() for family in _FAMILIES if code in family.split()), [])
    alike = [other for other in among if other in family]
    return next(iter([*alike, *(other for other in among if script_of(other) == script_of(code)), *among]))


def _scripts(text: str) -> Counter[str]:
    return Counter(unicodedata.name(letter, "").split(" ")[0] for letter in text if letter.isalpha())


@lru_cache
def _tell_apart(languages: Sequence[str]) -> Callable[[str], str]:
    """Tells languages of one script apart by pieces of words: 3 microseconds a text, loaded at once."""
    import eldc

    eldc.init()
    named = {_MALAY.get(code, code): code for code in languages}
    detector = eldc.instance()
    detector.set_languages([name for name in named if name in eldc.LANGUAGES])
    return lambda text: named.get(detector.detect(text.encode(errors="ignore").decode()), AUTO)
