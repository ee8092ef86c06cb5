"""Reads the data to learn a language from: sentences and a few translations.

sentences      one text per line, or captions in JSON Lines (only those in the language are used)
translations   JSON Lines, one object per line: {"en": "A red star.", "fr": "Une étoile rouge."}
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from polyglance.data.lines import Row, read_rows, refuse, short
from polyglance.data.texts import find_texts
from polyglance.errors import DataError
from polyglance.languages import language_code, script, script_of
from polyglance.query import usable_text

FEWEST: Final = 10
"""The fewest different sentences to learn from."""


@dataclass(frozen=True)
class Translation:
    """A sentence and its translation. known: the translation. language: the code of the translation's language."""

    sentence: str
    known: str
    language: str


def read_corpus(path: Path, code: str) -> list[str]:
    """Reads the different sentences of a file in the language `code`, in order.

    Raises DataError if the file cannot be read, has too few of them, or is in another script.
    """
    found = find_texts(path, [code])
    refuse(path, {f"line {number}": reason for number, reason in found.wrong.items()})
    captions = path.suffix == ".jsonl"
    sentences = [text for text, language in found.languages.items() if language == code or not captions]
    if len(sentences) < FEWEST:
        kind = f"captions in {code!r}" if captions else "sentences"
        raise DataError(f"{path}: expected at least {FEWEST} different {kind} to learn from, got {len(sentences)}")
    there, expected = script(" ".join(sentences[:1000])), script_of(code)
    if there != expected:
        raise DataError(
            f"{path}: expected text in {code!r}, which is written in {expected.title()} letters; "
            f"most of its letters are {there.title() if there else 'none at all'}"
        )
    return sentences


def read_translations(path: Path, code: str, known: Sequence[str]) -> list[Translation]:
    """Reads from each line the sentence in `code` and its translation into the first language of `known` that it has.

    Raises DataError if the file is missing or empty or has wrong lines, which the error names.
    """
    return read_rows(path, "translations", partial(_translation, code, known))


def _translation(code: str, known: Sequence[str], row: Row) -> Translation:
    row = {language_code(key): text for key, text in row.items()}
    sentence = usable_text(_text(row, code), "sentence")
    language = next((candidate for candidate in known if candidate in row and candidate != code), None)
    if language is None:
        raise ValueError(f"expected {code!r} beside a language that the model knows, {', '.join(known)}")
    return Translation(sentence, usable_text(_text(row, language), "sentence"), language)


def _text(row: Row, language: str) -> str:
    """Returns the text in a language. Raises ValueError if there is none."""
    if language not in row:
        raise ValueError(f"{language} is missing")
    if not isinstance(text := row[language], str):
        raise ValueError(f"expected {language} to be a text, got {short(text)}")
    return text
