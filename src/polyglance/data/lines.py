"""Reads users' files line by line or as one document, and reports all faults of a file in one short error."""

import codecs
import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from polyglance.errors import DataError, QueryError

Split = Literal["train", "val", "test"]
Row = dict[str, Any]
_Parsed = TypeVar("_Parsed")

_NAMED: Final = 20
"""The most items that an error lists; the others are counted."""
_REASONS: Final = 10
_PLACES: Final = 3
"""The most reasons that an error gives, and the most places for each of them."""
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16, so it comes before
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_rows(path: Path, what: str, parse: Callable[[Row], _Parsed]) -> list[_Parsed]:
    """Parses every row of a file, in order; a name that ends in .csv is CSV with a header, any other JSON Lines.

    Empty lines are skipped, and empty cells of CSV are ignored.

    what: the word for rows in errors, in the plural. parse: raises ValueError with the reason if a row is wrong.

    Raises DataError if the file is missing or has no rows, or rows are wrong; the error names all of them.
    """
    if path.suffix.lower() == ".csv":
        parsed, wrong = _parsed(_csv_rows(path, what), parse)
    else:
        parsed, wrong = try_lines(path, f"{what}, JSON Lines,", lambda line: parse(row_of(line)))
    refuse(path, {f"line {number}": reason for number, reason in wrong.items()})
    if not parsed:
        raise DataError(f"{path}: expected {what}, one a line, but there is none")
    return list(parsed.values())


def try_lines(path: Path, what: str, parse: Callable[[bytes], _Parsed]) -> tuple[dict[int, _Parsed], dict[int, str]]:
    """Parses every line; returns the results and the reasons for wrong lines, by line number. Empty lines are skipped.

    parse: raises ValueError or QueryError with the reason.

    Raises DataError if the file cannot be read.
    """
    lines = enumerate(read_bytes(path, what).split(b"\n"), 1)
    return _parsed(((number, line) for number, line in lines if line.strip()), parse)


_Unparsed = TypeVar("_Unparsed")


def _parsed(
    numbered: Iterable[tuple[int, _Unparsed]], parse: Callable[[_Unparsed], _Parsed]
) -> tuple[dict[int, _Parsed], dict[int, str]]:
    parsed: dict[int, _Parsed] = {}
    wrong: dict[int, str] = {}
    for number, row in numbered:
        try:
            parsed[number] = parse(row)
        except (ValueError, QueryError) as error:
            wrong[number] = str(error)
    return parsed, wrong


def _csv_rows(path: Path, what: str) -> Iterator[tuple[int, Row]]:
    """Yields, for each row, the number of its last line and its cells by the names in the header."""
    try:
        reader = csv.DictReader(io.StringIO(decoded(read_bytes(path, f"{what}, CSV,")), newline=""), strict=True)
        for row in reader:
            cells = {name: cell for name, cell in row.items() if name is not None and cell}
            if cells:
                yield reader.line_num, cells
    except (csv.Error, ValueError) as error:
        raise DataError(f"{path}: expected CSV with a header: {error}") from error


def read_json(path: Path, what: str) -> Any:
    """Reads a JSON file. Raises DataError if it is missing or not JSON, or an object repeats a key."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
            raise DataError(f"{path}: expected each key once in an object, but these come again: {named(twice)}")
        return found

    try:
        return json.loads(read_bytes(path, what), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: no JSON: {error}") from error


def parse_all(path: Path, rows: Iterable[tuple[str, Any]], parse: Callable[[str, Any], _Parsed]) -> dict[str, _Parsed]:
    """Parses every row of a document and returns the results by name.

    rows: (name, row). parse: called with both; raises ValueError with the reason if a row is wrong.

    Raises DataError if rows are wrong; the error names all of them.
    """
    found: dict[str, _Parsed] = {}
    wrong: dict[str, str] = {}
    for name, row in rows:
        try:
            found[name] = parse(name, row)
        except ValueError as error:
            wrong[name] = str(error)
    refuse(path, wrong)
    return found


def read_bytes(path: Path, what: str) -> bytes:
    """Reads a file; one with a byte-order mark of UTF-8, UTF-16 or UTF-32 is converted to UTF-8 without it.

    Raises DataError if it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"expected a file of {what} at {path}: {reason}") from error
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding).encode() if encoding != "utf-8-sig" else content.removeprefix(mark)
            except UnicodeError as error:
                raise DataError(f"{path}: marked as {encoding.upper()}, but it is not: {error}") from error
    return content


def refuse(path: Path, wrong: Mapping[str, str]) -> None:
    """Raises DataError with each reason once if there are any. wrong: the reasons by their places in the file."""
    if not wrong:
        return
    places = defaultdict[str, list[str]](list)
    for place, reason in wrong.items():
        places[reason].append(place)
    said = [f"{named(there, _PLACES, ', ')}: {reason}" for reason, there in places.items()]
    raise DataError(f"{path}: {named(said, _REASONS)}")


def named(things: Sequence[str], most: int = _NAMED, between: str = "; ") -> str:
    """Lists items on one line; of more than `most`, only the first ones and the number of the others."""
    more = len(things) - most
    return between.join([*things[:most], f"and {more:,} more"] if more > 0 else things)


def require_pictures(path: Path, images: Iterable[Path]) -> None:
    """Raises DataError if pictures are missing; the error names each once."""
    if missing := [str(image) for image in dict.fromkeys(images) if not image.is_file()]:
        raise DataError(f"{path}: there is no picture {named(missing)}")


def picture_at(folder: Path, name: str) -> Path:
    """Returns the path of a picture; if there is none, backslashes count as separators, as in paths from Windows."""
    path = folder / name
    return folder / name.replace("\\", "/") if "\\" in name and not path.is_file() else path


def short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def decoded(line: bytes) -> str:
    """Decodes a line. Raises ValueError if it is not UTF-8 or has NUL characters."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise ValueError("no valid UTF-8") from error
    if "\0" in text:
        raise ValueError("expected text in UTF-8, got NUL characters: UTF-16 is read only with its byte-order mark")
    return text


def row_of(line: bytes) -> Row:
    """Parses a line of JSON Lines. Raises ValueError with the reason if it is not an object."""
    text = decoded(line)
    try:
        row: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, got {short(row)}")
    return row
