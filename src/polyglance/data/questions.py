"""Questions about pictures with their answers, as users bring them: a file of JSON Lines.

    {"image": "relative/path.png", "question": "...", "answer": "...", "language": "en", "split": "train"}

`image` is relative to the file. `language` may be left out (en), and so may `split` (train, else val or test). Whatever
else stands in a line is for others.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from polyglance.errors import DataError

Split = Literal["train", "val", "test"]

_NAMED: Final = 20
"""Of the wrong lines of a file so many are named; the others are counted."""


@dataclass(frozen=True)
class Question:
    """One line. image: the picture's file, which was there."""

    image: Path
    question: str
    answer: str
    language: str = "en"
    split: Split = "train"


def read_questions(path: Path) -> list[Question]:
    """All questions of a file, in its order; empty lines are skipped.

    Raises DataError for a file that is missing or holds none, and for one with wrong lines, which it names.
    """
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"expected a file of questions, JSON Lines, at {path}: {reason}") from error
    questions, wrong = [], []
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            questions.append(_question(line, path.parent))
        except ValueError as error:
            wrong.append(f"line {number}: {error}")
    if wrong:
        raise DataError(f"{path}: {named(wrong)}")
    if not questions:
        raise DataError(f"{path}: expected questions, one a line, but there is none")
    return questions


def named(faults: list[str]) -> str:
    """All of them on one line; of many the first, and how many more."""
    more = len(faults) - _NAMED
    return "; ".join([*faults[:_NAMED], f"and {more:,} more"] if more > 0 else faults)


def _question(line: bytes, folder: Path) -> Question:
    """Raises ValueError with the reason where it is none."""
    try:
        row: Any = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise ValueError("no valid UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, got {_short(row)}")
    image, question, answer, language, split = (
        _text(row, key, default)
        for key, default in (("image", ""), ("question", ""), ("answer", ""), ("language", "en"), ("split", "train"))
    )
    if split not in get_args(Split):
        raise ValueError(f"expected split to be one of {', '.join(get_args(Split))}, got {split!r}")
    if not (folder / image).is_file():
        raise ValueError(f"there is no picture {image!r} beside the file")
    return Question(folder / image, question, answer, language, cast("Split", split))


def _text(row: dict[str, Any], key: str, default: str) -> str:
    value = row.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"expected {key} to be a text, got {_short(value)}")
    if not value.strip():
        raise ValueError(f"{key} is empty" if key in row else f"{key} is missing")
    return value.strip()


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
