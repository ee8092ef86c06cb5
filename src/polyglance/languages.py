"""The languages this project speaks of: their codes, names and scripts. No torch, no grammar.

Codes are ISO 639-1. `DEMO_LANGUAGES` are xGQA's eight (arXiv:2109.06082, table 1).
"""

from typing import Final

DEMO_LANGUAGES: Final = ("en", "de", "pt", "ru", "id", "bn", "ko", "zh")
