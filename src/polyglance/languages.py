"""The languages this project speaks of: their codes, names and scripts. No torch, no grammar.

Codes are ISO 639-1. `DEMO_LANGUAGES` are xGQA's eight (arXiv:2109.06082, table 1).
"""

import unicodedata
from collections import Counter
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

_SCRIPTS: Final = {"CYRILLIC": "ru", "BENGALI": "bn", "HANGUL": "ko", "CJK": "zh"}
"""The first word of a letter's Unicode name, where that script belongs to one of the demo's languages alone."""


def detect(text: str) -> str:
    """The one demo language written in the script of most of the letters of `text`; `AUTO` where several are.

    Latin letters say nothing here: four of the eight languages are written in them.
    """
    scripts = Counter(unicodedata.name(letter, "").split(" ")[0] for letter in text if letter.isalpha())
    if not scripts or "HIRAGANA" in scripts or "KATAKANA" in scripts:  # Japanese is not Chinese
        return AUTO
    return _SCRIPTS.get(scripts.most_common(1)[0][0], AUTO)
