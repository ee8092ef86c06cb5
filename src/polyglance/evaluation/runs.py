"""Scores ranked lists, made by any system, with the captions of a data set.

A run is a file in one of two formats; indices count from 0, in the order of the captions (queries) and of the pictures
as the captions first name them:

    JSON    as in IGLUE: for each query, the indices of the items, best first; null or [] if there is no result
    TREC    one item per line, QUERY Q0 ITEM RANK SCORE TAG, sorted by score; an item is an index or a file name
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyglance.data.lines import read_bytes, read_json, refuse
from polyglance.errors import DataError
from polyglance.evaluation.measures import MEASURES, Difference, Interval, Judged, difference, interval, judge, percent
from polyglance.evaluation.pools import Direction, Pool

Run = list[list[int]]
"""For each query, the indices of items, best first; empty if there is no result."""


@dataclass(frozen=True)
class Scores:
    """A scored run over a pool. missing: the queries without a result, which count as misses."""

    language: str
    direction: Direction
    judged: tuple[Judged, ...]
    missing: tuple[int, ...]

    @property
    def percent(self) -> dict[str, float]:
        return percent(self.judged)

    def values(self, measure: str) -> list[float]:
        """Returns a measure of each query, from 0 to 1."""
        return [MEASURES[measure](one) for one in self.judged]

    @property
    def intervals(self) -> dict[str, Interval]:
        return {name: interval(self.values(name)) for name in MEASURES}


def score(run: Run, pool: Pool, direction: Direction) -> Scores:
    """Scores a run over all queries of a pool."""
    judged = tuple(judge(ranked, right) for ranked, right in zip(run, pool.right(direction), strict=True))
    return Scores(pool.language, direction, judged, tuple(query for query, ranked in enumerate(run) if not ranked))


def merged(scores: Sequence[Scores]) -> list[Scores]:
    """Merges scores of the same language and direction, such as those of the folds of a pool."""
    parts: defaultdict[tuple[str, Direction], list[Scores]] = defaultdict(list)
    for one in scores:
        parts[one.language, one.direction].append(one)
    return [_joined(found) for found in parts.values()]


def _joined(parts: Sequence[Scores]) -> Scores:
    judged: list[Judged] = []
    missing: list[int] = []
    for part in parts:
        missing += [len(judged) + query for query in part.missing]
        judged += part.judged
    return Scores(parts[0].language, parts[0].direction, tuple(judged), tuple(missing))


def compare(a: Scores, b: Scores) -> dict[str, Difference]:
    """Returns B minus A for each measure, over the same queries."""
    return {name: difference(a.values(name), b.values(name)) for name in MEASURES}


def read_run(path: Path, pool: Pool, direction: Direction) -> Run:
    """Reads the lists of a file, one per query of the pool.

    Raises DataError if the file has neither format, the number of queries differs, or the pool lacks queries or items,
    which the error names.
    """
    content = read_bytes(path, "ranked lists")
    if content.lstrip()[:1] == b"[":
        return _iglue(path, pool, direction)
    return _trec(path, content, pool, direction)


def _iglue(path: Path, pool: Pool, direction: Direction) -> Run:
    lists: Any = read_json(path, "ranked lists")
    queries, items = pool.queries(direction), pool.items(direction)
    if len(lists) != queries:
        raise DataError(f"{path}: expected a list for each of {queries:,} queries, got {len(lists):,}")
    refuse(
        path,
        {
            f"query {number}": f"expected places from 0 to {items - 1}, got {_strange(ranked, items)}"
            for number, ranked in enumerate(lists)
            if ranked is not None and _strange(ranked, items) is not None
        },
    )
    return [ranked or [] for ranked in lists]


def _strange(ranked: Any, items: int) -> str | None:
    """Describes what is wrong with a list, or returns None."""
    if not isinstance(ranked, list):
        return repr(ranked)[:40]
    return next((repr(item)[:40] for item in ranked if type(item) is not int or not 0 <= item < items), None)


def _trec(path: Path, content: bytes, pool: Pool, direction: Direction) -> Run:
    names = {image.name: place for place, image in enumerate(pool.images)}
    queries, items = pool.queries(direction), pool.items(direction)
    query_names, item_names = (names, {}) if direction == "image_to_text" else ({}, names)
    scored: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)
    wrong: dict[str, str] = {}
    for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
        try:
            if line.strip():
                query, _, item, _, value, _ = _fields(line)
                scored[_place(query, query_names, queries, "query")].append(
                    (_number(value), _place(item, item_names, items, "item"))
                )
        except ValueError as error:
            wrong[f"line {number}"] = str(error)
    refuse(path, wrong)
    return [[item for _, item in sorted(scored[query], key=lambda one: -one[0])] for query in range(queries)]


def _fields(line: str) -> Sequence[str]:
    fields = line.split()
    if len(fields) != 6:
        raise ValueError(f"expected QUERY Q0 ITEM RANK SCORE TAG, got {len(fields)} words")
    return fields


def _number(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise ValueError(f"expected a score, got {value[:40]!r}")
    return number


def _place(name: str, names: dict[str, int], count: int, what: str) -> int:
    if name in names:
        return names[name]
    if name.isdecimal() and int(name) < count:
        return int(name)
    raise ValueError(f"there is no {what} {name[:40]!r}: expected a place from 0 to {count - 1}, or a picture's name")
