"""Plots the losses of a training from its logs."""

import math
from itertools import groupby
from pathlib import Path

from polyglance.errors import ConfigurationError, reason_of
from polyglance.training.loop import read_log

BINS = 200


def try_plot_losses(folder: Path, stages: tuple[str, ...]) -> str | None:
    """Calls `plot_losses` and returns the reason if it failed, else None, so that a figure never costs a training."""
    try:
        plot_losses(folder, stages)
    except ConfigurationError as error:
        return str(error)
    except Exception as error:  # matplotlib and its backends raise anything
        return f"the losses in {folder} were not drawn: {reason_of(error)}"
    return None


def plot_losses(folder: Path, stages: tuple[str, ...]) -> Path:
    """Draws `folder/losses.png` from each `STAGE.jsonl`, one panel per stage, and returns its path.

    Each loss is averaged over a two-hundredth of the steps.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError("drawing the losses needs matplotlib: pip install 'polyglance[plots]'") from error
    columns = min(2, len(stages))
    down = math.ceil(len(stages) / columns)
    figure = Figure(figsize=(6 * columns, 4 * down), layout="constrained")
    for number, stage in enumerate(stages, 1):
        axes = figure.add_subplot(down, columns, number)
        rows = list(read_log(folder / f"{stage}.jsonl"))
        width = max(1, len(rows) // BINS)
        bins = [list(part) for _, part in groupby(rows, key=lambda row: int(row["step"]) // width)]
        for name in sorted(rows[-1].keys() - {"step", "seconds"}):
            values = [sum(row[name] for row in part) / len(part) for part in bins]
            axes.plot([part[0]["step"] for part in bins], values, label=name, linewidth=1)
        axes.set(title=f"stage: {stage}", xlabel="step", ylabel="loss", yscale="log")
        axes.legend(fontsize=7, ncols=2)
        axes.grid(alpha=0.3)
    path = folder / "losses.png"
    figure.savefig(path, dpi=120)
    return path
