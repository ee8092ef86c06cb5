"""Makes the experiment's tables in Markdown from its rows."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from docs.markdown import table

Rows = Sequence[dict[str, Any]]
CANDIDATES = 20


def tables(rows: Rows) -> str:
    """Returns all tables for which there are rows."""
    return "\n\n".join(text for draw in TABLES.values() if (text := draw(rows)))


def mean_over_seeds(rows: Rows, value: Callable[[dict[str, Any]], float]) -> str:
    """Returns the mean, with the lowest and the highest seed in brackets."""
    values = [value(row) for row in rows]
    spread = f" ({min(values):.1f} to {max(values):.1f})" if len(values) > 1 else ""
    return f"{fmean(values):.1f}{spread}" if values else ""


def chosen(rows: Rows, **named: object) -> Rows:
    return [row for row in rows if all(row.get(name) == value for name, value in named.items())]


def systems(rows: Rows) -> str:
    """One row per system, two columns per pool: R@1 of text to image and of image to text."""
    rows = chosen(rows, part="systems")
    pools = sorted({row["pool"] for row in rows})
    every = max((row.get("queries", 0) for row in rows), default=0)
    lines = []
    for system in dict.fromkeys(row["system"] for row in rows):
        some = [
            row
            for row in rows
            if row["system"] == system and row.get("candidates", CANDIDATES) == CANDIDATES and not row.get("blend")
        ]
        cells = []
        for pool in pools:
            there = chosen(some, pool=pool)
            for direction in ("text_to_image", "image_to_text"):
                known = [row for row in there if direction in row]
                of = f", {known[0]['queries']} queries" if known and known[0].get("queries", every) < every else ""
                cells.append(mean_over_seeds(known, lambda row, d=direction: row[d]["R@1"]) + of)
        lines.append([system, *cells])
    head = [f"{pool:,}: {way}" for pool in pools for way in ("text to image", "image to text")]
    return table(["R@1, %", *head], lines) if lines else ""


def candidates(rows: Rows) -> str:
    """One row per cooperative system and number of candidates, one column per pool."""
    return _choices(chosen(rows, part="systems", blend=0.0), "candidates", "candidates")


def blends(rows: Rows) -> str:
    """One row per cooperative system and share of the cosine, one column per pool."""
    return _choices(chosen(rows, part="systems", candidates=CANDIDATES), "blend", "share of the cosine")


def _choices(rows: Rows, key: str, name: str) -> str:
    """One row per system and value of a key, one column per pool."""
    pools = sorted({row["pool"] for row in rows})
    lines = []
    for system in dict.fromkeys(row["system"] for row in rows):
        for value in sorted({row[key] for row in rows}):
            there = [chosen(rows, system=system, pool=pool, **{key: value}) for pool in pools]
            recalls = (mean_over_seeds(some, lambda row: row["text_to_image"]["R@1"]) for some in there)
            lines.append([system, value, *recalls])
    return table(["text to image R@1, %", name, *(f"{pool:,}" for pool in pools)], lines) if lines else ""


def unseen(rows: Rows) -> str:
    """One row per system: queries with a (kind, colour) pair that training never showed, and the others, in the
    smallest and in the largest pool."""
    rows = [row for row in chosen(rows, part="systems") if "unseen_pairs" in row]
    pools = sorted({row["pool"] for row in rows})
    ends = list(dict.fromkeys([*pools[:1], *pools[-1:]]))
    groups = {"seen_pairs": "seen pairs", "unseen_pairs": "an unseen pair"}
    every = {part: max((row[part]["queries"] for row in rows), default=0) for part in groups}
    lines = []
    for system in dict.fromkeys(row["system"] for row in rows):
        cells = []
        for pool in ends:
            some = [
                row
                for row in chosen(rows, system=system, pool=pool)
                if row.get("candidates", CANDIDATES) == CANDIDATES and not row.get("blend")
            ]
            for part in groups:
                few = some and some[0][part]["queries"] < every[part]
                of = f", {some[0][part]['queries']} queries" if few else ""
                cells.append(mean_over_seeds(some, lambda row, p=part: row[p]["R@1"]) + of)
        lines.append([system, *cells])
    head = [f"{pool:,}: {name}" for pool in ends for name in groups.values()]
    return table(["text to image R@1, %", *head], lines) if lines else ""


def splits(rows: Rows) -> str:
    """One row per pool: how many queries, and how many texts in all, are training captions word for word."""
    lines = [
        [f"{row['pool']:,}", *(f"{row[f'{kind}_in_training']:,} of {row[kind]:,}" for kind in ("queries", "texts"))]
        for row in chosen(rows, part="splits")
    ]
    return table(["also training captions, pool of", "queries", "all texts"], lines) if lines else ""


def times(rows: Rows) -> str:
    """One row per direction and system, one column per pool: the milliseconds per query, in total and by stage."""
    rows = chosen(rows, part="times")
    pools = sorted({row["pool"] for row in rows})
    lines = []
    for direction in dict.fromkeys(row["direction"] for row in rows):
        of_direction = chosen(rows, direction=direction)
        for k in sorted({row["candidates"] for row in of_direction if row["system"] == "coop"}):
            cells = [_time(chosen(of_direction, system="coop", candidates=k, pool=pool)) for pool in pools]
            lines.append([direction.replace("_", " "), f"{k} reranked", *cells])
        cells = [_time(chosen(of_direction, system="cross", pool=pool)) for pool in pools]
        lines.append([direction.replace("_", " "), "all pairs", *cells])
    return table(["ms per query", "", *(f"{pool:,}" for pool in pools)], lines) if lines else ""


def _time(rows: Rows) -> str:
    (row,) = rows
    stages = " + ".join(f"{value:.1f}" for value in row["milliseconds"].values())
    return f"{row['total_ms']:,.1f} ({stages})"


def libraries(rows: Rows) -> str:
    """One row per library, one column per stage."""
    rows = chosen(rows, part="libraries")
    lines = [
        [f"{row['pictures']:,}", *(f"{value:.1f}" for value in row["milliseconds"].values()), _range(row, "total")]
        for row in rows
    ]
    if not lines:
        return ""
    return table(["ms per search, by pictures", *rows[0]["milliseconds"], "fastest to slowest"], lines)


def _range(row: dict[str, Any], stage: str) -> str:
    return " to ".join(f"{value:.1f}" for value in row["spread"][stage])


def states(rows: Rows) -> str:
    """One row per way of storing and precision: bytes per picture, R@1 in both directions, and time."""
    whole = chosen(rows, part="all_pairs")
    lines = [[f"{_way(row)}: all pairs, not rounded", "", "", *_recalls(row), ""] for row in whole]
    lines += [
        [_way(row), *_kept(row), _milliseconds(row, rows)]
        for row in chosen(rows, part="states")
        if not row["name"].startswith("cut")
    ]
    return table(["stored", *HEAD], lines) if len(lines) > len(whole) else ""


def _way(row: dict[str, Any]) -> str:
    return f"{row['compression']}, {row['tokens']} x {row['state_width']}"


def cuts(rows: Rows) -> str:
    """One row per number of layers below the cut; in 8 bits."""
    some = [row for row in chosen(rows, part="states", bits=8) if row["name"].startswith("cut")]
    lines = [[row["cut"], *_kept(row), _milliseconds(row, rows)] for row in some]
    return table(["layers below the cut", *HEAD], lines) if lines else ""


HEAD = ("bits", "bytes per picture", "text to image R@1, %", "image to text R@1, %", "ms for 20 candidates")


def _kept(row: dict[str, Any]) -> list[object]:
    return [row["bits"], f"{row['bytes']:,}", *_recalls(row)]


def _recalls(row: dict[str, Any]) -> list[str]:
    return [f"{row[way]['R@1']:.1f}" for way in ("text_to_image", "image_to_text")]


def _milliseconds(row: dict[str, Any], rows: Rows) -> str:
    """Returns the time in 8 bits, the precision in which states are stored; empty for other precisions."""
    times = chosen(rows, part="state_times", name=row["name"])
    return f"{times[0]['milliseconds']:.1f}" if times and row["bits"] == 8 else ""


TABLES: Mapping[str, Callable[[Rows], str]] = {
    "retrieval_splits": splits,
    "retrieval_systems": systems,
    "retrieval_candidates": candidates,
    "retrieval_blends": blends,
    "retrieval_unseen": unseen,
    "retrieval_times": times,
    "retrieval_libraries": libraries,
    "retrieval_states": states,
    "retrieval_cuts": cuts,
}
"""The tables by their names in the documentation."""
