"""What a language is learned from: its sentences, and a few of them beside their translations.

sentences      a text a line, or captions in JSON Lines, of which those in the language are taken
translations   JSON Lines, an object a line: {"en": "A red star.", "fr": "Une étoile rouge."}
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
"""Different sentences from which anything can be learned."""


@dataclass(frozen=True)
class Translation:
    """A sentence, and what it says in another language."""

    sentence: str
    known: str
    language: str


def read_corpus(path: Path, code: str) -> list[str]:
    """The different sentences of a file in the language `code`, in its order.

    Raises DataError for a file that cannot be read, holds too few of them, or is in another script.
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
    """Of each line the sentence in `code` and that in the first language of `known` which it has.

    Raises DataError for a file that is missing or holds none, and for one with wrong lines, which it names.
    """
    return read_rows(path, "translations", partial(_translation, code, known))


def _translation(code: str, known: Sequence[str], row: Row) -> Translation:
    row = {language_code(key): text for key, text in row.items()}
    sentence = usable_text(_text(row, code), "sentence")
    language = next((one for one in known if one in row and one != code), None)
    if language is None:
        raise ValueError(f"expected {code!r} beside a language that the model knows, {', '.join(known)}")
    return Translation(sentence, usable_text(_text(row, language), "sentence"), language)


def _text(row: Row, language: str) -> str:
    """Raises ValueError where it is no text."""
    if language not in row:
        raise ValueError(f"{language} is missing")
    if not isinstance(text := row[language], str):
        raise ValueError(f"expected {language} to be a text, got {short(text)}")
    return text
