"""Reads files of texts to be added to a library.

FILE.jsonl   captions as `data/captions.py` reads them, without their pictures
any other    one text per line, in UTF-8, or in UTF-16 or UTF-32 with its byte-order mark
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Final

from polyglance.data.lines import decoded, row_of, try_lines
from polyglance.languages import DEMO_LANGUAGES, detect
from polyglance.query import usable_text
from polyglance.text import collapse_white_space

OF_TEXT: Final = "text:"
"""The prefix of the keys of texts."""


@dataclass(frozen=True)
class FoundTexts:
    """The texts of a file.

    languages: the code of the language of each distinct text, or `auto`. wrong: the reasons for lines that cannot be
    used, by line number.
    """

    languages: dict[str, str]
    wrong: dict[int, str]


def find_texts(path: Path, among: Sequence[str] = DEMO_LANGUAGES) -> FoundTexts:
    """Reads the texts of a file in order; empty lines and repeated texts are skipped.

    among: the languages that a text may be in if the file does not say.

    Raises DataError for a file that cannot be read.
    """
    parse = partial(_captions, path) if path.suffix == ".jsonl" else partial(_text, among)
    parsed, wrong = try_lines(path, "texts, one a line,", parse)
    languages: dict[str, str] = {}
    for texts in parsed.values():
        for text, language in texts:
            languages.setdefault(text, language)
    return FoundTexts(languages, wrong)


def text_hash(*parts: str) -> str:
    """Returns a hash of the parts (BLAKE2b, 128 bits) as 32 hexadecimal digits."""
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def is_of_text(key: str) -> bool:
    """Whether a key (`Reader.key`) belongs to a text."""
    return key.startswith(OF_TEXT)


def _text(among: Sequence[str], line: bytes) -> list[tuple[str, str]]:
    text = collapse_white_space(decoded(line))
    return [(usable_text(text, "text"), detect(text, among))] if text else []


def _captions(path: Path, line: bytes) -> list[tuple[str, str]]:
    from polyglance.data.captions import captions_of  # a search needs none of it, and not the library behind it

    captions = captions_of(row_of(line), path, path.parent)
    return [(usable_text(one.caption, "text"), one.language) for one in captions if collapse_white_space(one.caption)]
