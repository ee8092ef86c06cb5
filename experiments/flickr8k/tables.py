"""Makes the experiment's tables in Markdown from its rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import Any

from docs.markdown import table
from experiments.flickr8k.measures import CANDIDATES, DIRECTIONS

Rows = Sequence[dict[str, Any]]

PUBLISHED: Mapping[str, tuple[float, float]] = {
    "DeViSE (Frome et al. 2013)": (5.9, 4.8),
    "m-RNN (arXiv:1412.6632)": (11.5, 14.5),
    "VSE with VGG-19 (arXiv:1411.2539)": (12.5, 18.0),
    "Fisher vectors (Klein et al. 2015)": (21.3, 31.0),
}
"""R@1 of text to image and of image to text on the same test split, with image networks that were trained on ImageNet
and not further. DeViSE as measured by Karpathy et al. (arXiv:1406.5679)."""


POOL = 1000
SIDES = ("twin", "separate coop", "joint coop")


def tables(rows: Rows) -> str:
    """Returns all tables for which there are rows."""
    return "\n\n".join(text for draw in TABLES.values() if (text := draw(rows)))


def systems(rows: Rows, split: str = "test") -> str:
    """One row per system, after the published ones: R@1, R@5 and R@10 in both directions, the mean of the seeds.

    Where the twin encoder has a say in the match, a second row is of the match alone.
    """
    some = [row for row in _of(rows, part="systems", split=split) if row.get("candidates") in (None, CANDIDATES)]
    alone = [row for row in some if row.get("blend") == 0 and row["cosine_weight"]]
    some = [
        *(row for row in some if row.get("blend") is None),
        *({**row, "system": f"{row['system']}, match alone"} for row in alone),
    ]
    if not some:
        return ""
    lines = [[name, f"{image:.1f}", "", "", f"{text:.1f}", "", ""] for name, (image, text) in PUBLISHED.items()]
    for system in dict.fromkeys(row["system"] for row in some):
        of_system = _of(some, system=system)
        cells = (
            _spread(row[direction][f"R@{at}"] for row in of_system) for direction in DIRECTIONS for at in (1, 5, 10)
        )
        lines.append([f"**{system}**", *cells])
    head = (f"{direction.replace('_', ' ')} R@{at}" for direction in DIRECTIONS for at in (1, 5, 10))
    return table([f"%, {split} split", *head], lines if split == "test" else lines[len(PUBLISHED) :])


def validation(rows: Rows) -> str:
    """The systems on the validation split."""
    return systems(rows, "val")


def candidates(rows: Rows) -> str:
    """One row per number of candidates and share of the cosine beside the match alone."""
    some = [row for row in _of(rows, part="systems", split="test") if row.get("candidates")]
    lines = []
    for system, k, blend in dict.fromkeys((row["system"], row["candidates"], row.get("blend")) for row in some):
        there = _of(some, system=system, candidates=k, blend=blend)
        cells = [_spread(row[direction]["R@1"] for row in there) for direction in DIRECTIONS]
        lines.append([system, k, "" if blend is None else blend, *cells])
    return table(["R@1, %", "candidates", "share of the cosine", *_directions()], lines) if lines else ""


def pairs(rows: Rows) -> str:
    """One row per system over all pairs, and over the candidates of the same queries."""
    lines = []
    for system, k in dict.fromkeys((row["system"], row["candidates"]) for row in _of(rows, part="pairs", split="test")):
        there = _of(rows, part="pairs", split="test", system=system, candidates=k)
        cells = [_spread(row[direction]["R@1"] for row in there) for direction in DIRECTIONS]
        name = system if k is None else system.replace("all pairs", f"{k} candidates of the same queries")
        queries = " and ".join(str(there[0][direction]["queries"]) for direction in DIRECTIONS)
        lines.append([name, queries, *cells])
    return table(["R@1, %", "queries", *_directions()], lines) if lines else ""


def depths(rows: Rows) -> str:
    """One row per drop depth of the match's adapter."""
    some = _of(rows, part="depths", split="test")
    lines = []
    for depth in dict.fromkeys(row["depth"] for row in some):
        there = _of(some, depth=depth)
        queries = " and ".join(str(there[0][direction]["queries"]) for direction in DIRECTIONS)
        lines.append([depth, queries, *(_spread(row[direction]["R@1"] for row in there) for direction in DIRECTIONS)])
    return table(["drop depth", "queries", *(f"{one}, R@1, %" for one in _directions())], lines) if lines else ""


def states(rows: Rows) -> str:
    """One row per number of tokens and precision."""
    some = _of(rows, part="states", split="test")
    lines = [
        [row["tokens"], row["bits"], f"{row['bytes']:,}", *(f"{row[one]['R@1']:.1f}" for one in DIRECTIONS)]
        for row in some
    ]
    return (
        table(["tokens", "bits", "bytes per picture", *(f"{one}, R@1, %" for one in _directions())], lines)
        if lines
        else ""
    )


def languages(rows: Rows) -> str:
    """One row per training and system, one column per language: R@1 of text to image and of image to text."""
    some = [row for row in _of(rows, part="languages") if row.get("candidates") in (None, CANDIDATES)]
    some = [row for row in some if row.get("blend") is None]
    found = {(row["trained_on"], row["system"], _column(row)) for row in some}
    columns = sorted({column for _, _, column in found})
    lines = []
    for trained, system in dict.fromkeys((row["trained_on"], row["system"]) for row in some):
        cells = []
        for column in columns:
            there = [row for row in _of(some, trained_on=trained, system=system) if _column(row) == column]
            cells.append(" / ".join(_spread(row[one]["R@1"] for row in there) for one in DIRECTIONS) if there else "")
        lines.append([trained.replace(",", ", "), system, *cells])
    return table(["trained on", "system", *columns], lines) if lines else ""


def _column(row: Mapping[str, Any]) -> str:
    return f"{row['language']} ({row['split']})"


def judgements(rows: Rows) -> str:
    """One row per model and score: Kendall's tau-c."""
    lines = []
    for system in dict.fromkeys(row["system"] for row in _of(rows, part="judgements")):
        there = _of(rows, part="judgements", system=system)
        for name in ("cosine", "match"):
            if all(name in row for row in there):
                cells = [_spread(row[name][way] for row in there) for way in ("mean", "each")]
                lines.append([f"{system}, {name}", *cells])
    return (
        table(["Kendall's tau-c, x 100", "with the mean of three experts", "with each expert"], lines) if lines else ""
    )


def side_by_side(scenes: Rows, rows: Rows) -> str:
    """One row per system: R@1 among 1,000 drawn scenes, and among the photographs of the test split.

    scenes: the rows of the experiment on drawn scenes.
    """
    drawn = [row for row in scenes if row["part"] == "systems" and row["pool"] == POOL]
    rows = [row for row in _of(rows, part="systems", split="test") if row.get("blend") is None]
    lines = []
    for system in SIDES:
        there = [row for row in _of(drawn, system=system) if not row.get("blend")]
        sides = there, _of(rows, system=system)
        cells = []
        for side, one in product(sides, DIRECTIONS):
            known = [row[one]["R@1"] for row in side if row.get("candidates") in (None, CANDIDATES) and one in row]
            cells.append(_spread(known) if known else "")
        lines.append([system, *cells])
    heads = [f"{what}, {one}" for what in ("drawn scenes", "photographs") for one in _directions()]
    return table(["R@1, %", *heads], lines)


def times(rows: Rows) -> str:
    """One row per stage: the milliseconds of one caption."""
    lines = [
        [stage, f"{ms:.1f}", " to ".join(f"{end:.1f}" for end in row["spread"][stage])]
        for row in _of(rows, part="times")
        for stage, ms in row["milliseconds"].items()
    ]
    return table(["stage", "ms, median of 30", "fastest to slowest"], lines) if lines else ""


def _of(rows: Rows, **named: object) -> Rows:
    return [row for row in rows if all(row.get(name) == value for name, value in named.items())]


def _spread(values: Iterable[float]) -> str:
    """Returns the mean, with the lowest and the highest value of several seeds in brackets."""
    found = list(values)
    spread = f" ({min(found):.1f} to {max(found):.1f})" if len(found) > 1 else ""
    return f"{fmean(found):.1f}{spread}"


def _directions() -> list[str]:
    return [one.replace("_", " ") for one in DIRECTIONS]


TABLES: Mapping[str, Callable[[Rows], str]] = {
    "flickr8k_validation": validation,
    "flickr8k_systems": systems,
    "flickr8k_candidates": candidates,
    "flickr8k_pairs": pairs,
    "flickr8k_depths": depths,
    "flickr8k_states": states,
    "flickr8k_languages": languages,
    "flickr8k_judgements": judgements,
    "flickr8k_times": times,
}
"""The tables by their names in the documentation."""
