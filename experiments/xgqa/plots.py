"""The experiment's picture, from its results."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from experiments.xgqa.bodies import TARGETS


def draw(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    """Writes `xgqa.png`: accuracy over the pictures of the few-shot training, a line a way; the mean of the languages
    measured at that number."""
    if not any(row["part"] == "zero" for row in rows):
        return
    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axis = figure.add_subplot()
    answered = [row for row in rows if row["part"] in ("zero", "few") and row["language"] in TARGETS]
    for way in dict.fromkeys(row["way"] for row in answered):
        there: dict[int, list[float]] = {}
        for row in answered:
            if row["way"] == way:
                there.setdefault(row.get("shots", 0), []).append(row["accuracy"])
        shots = sorted(there)
        axis.plot(shots, [fmean(there[count]) for count in shots], marker="o", label=way, linewidth=1.2)
    guess = fmean(row["controls"]["most_frequent"] for row in answered)
    axis.axhline(guess, color="grey", linestyle=":", label="commonest answer")
    axis.set(xlabel="pictures with questions in the language", ylabel="accuracy, %", ylim=(0, 100))
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.savefig(folder / "xgqa.png", dpi=110)
