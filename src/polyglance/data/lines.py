"""Files of JSON Lines that users bring: every wrong line is named, all of a file together."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast, get_args

from polyglance.errors import DataError, QueryError

Split = Literal["train", "val", "test"]
Row = dict[str, Any]
_Parsed = TypeVar("_Parsed")

_NAMED: Final = 20
"""Of the wrong lines of a file so many are named; the others are counted."""


def read_lines(path: Path, what: str, parse: Callable[[Row], _Parsed]) -> list[_Parsed]:
    """Every line of a file parsed, in its order; empty lines are skipped.

    what: the plural of what a line is. parse: raises ValueError with the reason where a line is wrong.
    Raises DataError for a file that is missing or holds none, and for one with wrong lines, which it names.
    """
    parsed, wrong = try_lines(path, f"{what}, JSON Lines,", lambda line: parse(row_of(line)))
    if wrong:
        raise DataError(f"{path}: {named([f'line {number}: {reason}' for number, reason in wrong.items()])}")
    if not parsed:
        raise DataError(f"{path}: expected {what}, one a line, but there is none")
    return list(parsed.values())


def try_lines(path: Path, what: str, parse: Callable[[bytes], _Parsed]) -> tuple[dict[int, _Parsed], dict[int, str]]:
    """By the numbers of the lines: those parsed, and of those that are wrong the reason; empty lines are skipped.

    parse: raises ValueError or QueryError with the reason. Raises DataError for a file that cannot be read.
    """
    parsed: dict[int, _Parsed] = {}
    wrong: dict[int, str] = {}
    for number, line in enumerate(read_bytes(path, what).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            parsed[number] = parse(line)
        except (ValueError, QueryError) as error:
            wrong[number] = str(error)
    return parsed, wrong


def read_bytes(path: Path, what: str) -> bytes:
    """The content of a file less a byte-order mark. Raises DataError where it cannot be read."""
    try:
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"expected a file of {what} at {path}: {reason}") from error


def named(faults: Sequence[str]) -> str:
    """All of them on one line; of many the first, and how many more."""
    more = len(faults) - _NAMED
    return "; ".join([*faults[:_NAMED], f"and {more:,} more"] if more > 0 else faults)


def text_of(row: Row, key: str, default: str = "") -> str:
    """Raises ValueError where it is no text, or empty."""
    value = row.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"expected {key} to be a text, got {short(value)}")
    if not value.strip():
        raise ValueError(f"{key} is empty" if key in row else f"{key} is missing")
    return value.strip()


def split_of(row: Row) -> Split:
    split = text_of(row, "split", "train")
    if split not in get_args(Split):
        raise ValueError(f"expected split to be one of {', '.join(get_args(Split))}, got {split!r}")
    return cast("Split", split)


def short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def decoded(line: bytes) -> str:
    """Raises ValueError where it is no UTF-8."""
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise ValueError("no valid UTF-8") from error


def row_of(line: bytes) -> Row:
    """The object that a line of JSON Lines holds. Raises ValueError with the reason where it holds none."""
    text = decoded(line)
    try:
        row: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, got {short(row)}")
    return row
