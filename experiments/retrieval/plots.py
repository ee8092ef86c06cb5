"""Draws the experiment's figures from its results."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib import colormaps
from matplotlib.figure import Figure

from experiments.results import Row
from experiments.retrieval.tables import CANDIDATES, chosen

MARKERS = {"merge": "o", "mean": "s", "queries": "^"}


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Writes `retrieval-*.png` for all parts that have rows."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for part, make in {"systems": _draw_systems, "states": _draw_states}.items():
        if any(row["part"] == part for row in rows):
            drawn.append(folder / f"retrieval-{part}.png")
            make(rows).savefig(drawn[-1], dpi=110)
    return drawn


def _draw_systems(rows: Sequence[dict[str, Any]]) -> Figure:
    """Draws R@1 over the size of the pool in both directions, the mean of the seeds. All pairs of the larger pools are
    left out, because they were scored for a few queries only."""
    rows = [row for row in chosen(rows, part="systems") if not row.get("blend")]
    every = max(row.get("queries", 0) for row in rows)
    rows = [row for row in rows if row.get("queries", every) == every]
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    for number, direction in enumerate(("text_to_image", "image_to_text"), 1):
        axis = figure.add_subplot(1, 2, number)
        for colour, system in enumerate(dict.fromkeys(row["system"] for row in rows)):
            some = [
                row
                for row in chosen(rows, system=system)
                if direction in row and row.get("candidates", CANDIDATES) == CANDIDATES
            ]
            if not some:
                continue
            pools = sorted({row["pool"] for row in some})
            recalls = [fmean(row[direction]["R@1"] for row in chosen(some, pool=pool)) for pool in pools]
            line = "--" if "twin" in system else "-"
            axis.plot(pools, recalls, marker="o", color=f"C{colour}", linestyle=line, label=system)
        axis.set_xscale("log")
        axis.set_title(direction.replace("_", " "))
        axis.set_xlabel("items in the pool")
        axis.set_ylabel("R@1, %")
        axis.grid(alpha=0.3)
        axis.legend()
    return figure


def _draw_states(rows: Sequence[dict[str, Any]]) -> Figure:
    """Draws R@1 over the bytes per picture: one line per way of storing, one point per precision."""
    some = [row for row in chosen(rows, part="states") if not row["name"].startswith("cut")]
    figure = Figure(figsize=(8, 5), layout="constrained")
    axis = figure.add_subplot()
    for number, name in enumerate(dict.fromkeys(row["name"] for row in some)):
        of_way = sorted(chosen(some, name=name), key=lambda row: row["bytes"])
        label = f"{of_way[0]['compression']} {of_way[0]['tokens']} x {of_way[0]['state_width']}"
        recalls = [row["text_to_image"]["R@1"] for row in of_way]
        marker, colour = MARKERS[of_way[0]["compression"]], colormaps["tab20"](number)
        axis.plot([row["bytes"] for row in of_way], recalls, marker=marker, color=colour, label=label)
    for row in chosen(rows, part="all_pairs"):
        label = f"all pairs, {row['compression']} {row['tokens']} x {row['state_width']}"
        axis.axhline(row["text_to_image"]["R@1"], color="grey", linestyle=":", label=label)
    axis.set_xscale("log", base=2)
    axis.set_xlabel("bytes a picture (16, 8 and 4 bits, from right to left)")
    axis.set_ylabel(f"text to image R@1, %, {CANDIDATES} reranked")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure
