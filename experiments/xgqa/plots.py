"""Draws the experiment's figures from its results."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.xgqa.bodies import ENGLISH, MULTILINGUAL
from experiments.xgqa.corpora import TARGETS
from experiments.xgqa.published import E5, MINILM
from experiments.xgqa.tables import of_first_seed

Rows = Sequence[dict[str, Any]]
COLUMNS = 4
BODIES = {ENGLISH: "--", MULTILINGUAL: "-.", MINILM: ":", E5: (0, (5, 1))}
CONTROLS = {
    "blank": ("blank picture", "--"),
    "shuffled": ("another picture", "-."),
    "most_frequent": ("commonest answer", ":"),
}


def draw(rows: Rows, folder: Path) -> None:
    """Writes `xgqa.png`: the accuracy over the number of few-shot pictures at the first seed, one line per way.

    There is one panel for each language that was measured at the most numbers of pictures, and no file if none was.
    """
    rows = of_first_seed(rows)
    shots = {code: _shots(row for row in rows if row["part"] == "few" and row["language"] == code) for code in TARGETS}
    most = max(map(len, shots.values()))
    if not most:
        return
    codes = [code for code, there in shots.items() if len(there) == most]
    folder.mkdir(parents=True, exist_ok=True)
    across = min(len(codes), COLUMNS)
    down = -(-len(codes) // across)
    figure = Figure(figsize=(2 + 3.2 * across, 3.4 * down), layout="constrained")
    panels = figure.subplots(down, across, sharey=True, squeeze=False).flatten()
    ways = [*dict.fromkeys(row["way"] for row in rows if row["part"] == "few")]
    for code, panel in zip(codes, panels, strict=False):
        _panel(panel, rows, code, ways)
    for panel in panels[len(codes) :]:
        panel.remove()
    labels: dict[str, Artist] = {}
    for panel in figure.axes:
        lines, names = panel.get_legend_handles_labels()
        labels |= dict(zip(names, lines, strict=True))
    figure.legend([*labels.values()], [*labels], loc="outside right center", fontsize=8, frameon=False)
    figure.supxlabel("pictures with questions in the language", fontsize=9)
    figure.supylabel("accuracy, %", fontsize=9)
    figure.savefig(folder / "xgqa.png", dpi=110)


def _panel(axis: Axes, rows: Rows, code: str, ways: Sequence[str]) -> None:
    """Draws the ways in one language, English without few-shot training, and the controls of the way that ends highest,
    which are measured without few-shot training."""
    there = [row for row in rows if row["part"] in ("zero", "few") and row["language"] == code]
    bodies = {row["body"] for row in there if "body" in row and row["way"] in ways}
    for body, dashes in BODIES.items():
        for row in rows:
            if row["part"] == "body" and row["body"] == body and body in bodies:
                axis.axhline(
                    row["accuracy"], color="black", linestyle=dashes, linewidth=1, label=f"English, {body} body"
                )
    ends = {}
    for number, way in enumerate(ways):
        if line := _line([row for row in there if row["way"] == way], "accuracy"):
            axis.plot(*zip(*line, strict=True), marker="o", markersize=3, color=f"C{number}", linewidth=1.2, label=way)
            ends[way] = line[-1]
    best = max(ends, key=ends.__getitem__)
    for row in (row for row in there if row["way"] == best and row["part"] == "zero"):
        for control, (name, dashes) in CONTROLS.items():
            axis.axhline(row["controls"][control], color="grey", linestyle=dashes, linewidth=1, label=name)
    shots = [0, *sorted(_shots(there))]
    names = [str(one) if one >= 1.5 * before else "" for before, one in zip([0, *shots], shots, strict=False)]
    axis.set_xscale("symlog", linthresh=1)
    axis.set(title=code, xticks=shots, xticklabels=names, ylim=(0, 100))
    axis.minorticks_off()
    axis.grid(alpha=0.3)


def _line(rows: Rows, value: str) -> list[tuple[int, float]]:
    """Returns (number of pictures, value), sorted by the number."""
    return sorted((row.get("shots", 0), row[value]) for row in rows)


def _shots(rows: Iterable[dict[str, Any]]) -> set[int]:
    return {row["shots"] for row in rows if "shots" in row}
