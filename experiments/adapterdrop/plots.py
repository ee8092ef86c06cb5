"""Draws the experiment's figures from its results."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.adapterdrop.tables import PRETRAINED, of_complete_tasks
from experiments.results import Row

MODES = (("standard", "o"), ("robust", "s"), ("specialised", "^"), ("shared", "x"))


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Writes `adapterdrop-*.png` for all parts that have rows."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {"depths": _draw_depths, "training": _draw_times, "inference": _draw_tasks, "fusion": _draw_fusions}
    drawn = []
    for part, make in pictures.items():
        if any(row["part"] == part for row in rows):
            drawn.append(folder / f"adapterdrop-{part}.png")
            make(rows).savefig(drawn[-1], dpi=110)
    return drawn


def values(rows: Iterable[Row], key: str, value: str) -> dict[float, list[float]]:
    """Returns all values of a figure by the value of a key, in ascending order of the key."""
    found: defaultdict[float, list[float]] = defaultdict(list)
    for row in rows:
        found[float(str(row[key]))].append(float(str(row[value])))
    return {name: found[name] for name in sorted(found)}


def _draw_depths(rows: Sequence[Row]) -> Figure:
    """Draws a panel for the mean of the tasks that the body has not seen, and one for each task with a band from the
    lowest to the highest seed."""
    commonest = {str(row["task"]): float(str(row["commonest"])) for row in rows if row["part"] == "control"}
    rows = [row for row in rows if row["part"] == "depths"]
    tasks = list(dict.fromkeys(str(row["task"]) for row in rows))
    figure = Figure(figsize=(12, 10), layout="constrained")
    unseen = [row for row in rows if row["task"] not in PRETRAINED]
    for number, task in enumerate(("mean of the unseen tasks", *tasks), 1):
        axis = figure.add_subplot(3, 3, number)
        for mode, marker in MODES:
            there = of_complete_tasks(unseen) if number == 1 else [row for row in rows if row["task"] == task]
            _line(axis, [row for row in there if row["mode"] == mode], mode, marker, spread=number > 1)
        if task in commonest:
            axis.axhline(commonest[task], color="grey", linestyle=":", label="commonest label")
        axis.set_title(task)
        axis.set_xlabel("layers without the adapter")
        axis.set_ylabel("% right")
        axis.grid(alpha=0.3)
        if number <= 2:
            axis.legend(fontsize=7)
    return figure


def _line(axis: Axes, rows: Sequence[Row], label: str, marker: str, spread: bool) -> None:
    points = values(rows, "depth", "score")
    line = "--" if label == "specialised" else "-"
    (drawn,) = axis.plot(
        list(points), [fmean(one) for one in points.values()], marker=marker, linestyle=line, label=label
    )
    if spread and points:
        lowest, highest = (list(map(end, points.values())) for end in (min, max))
        axis.fill_between(list(points), lowest, highest, color=drawn.get_color(), alpha=0.2, linewidth=0)


def _draw_times(rows: Sequence[Row]) -> Figure:
    """Draws the times of a training step and of a forward pass by depth, compared with full fine-tuning."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    forward = [row for row in rows if row["part"] == "inference" and row["tasks"] == 1]
    for number, (title, some) in enumerate(
        (("a training step", [row for row in rows if row["part"] == "training"]), ("a forward pass", forward)), 1
    ):
        axis = figure.add_subplot(1, 2, number)
        for system in dict.fromkeys(str(row["system"]) for row in some):
            points = values((row for row in some if row["system"] == system), "depth", "ms")
            if len(points) == 1:
                axis.axhline(points[0][0], color="grey", linestyle=":", label=system)
            else:
                axis.plot(list(points), [fmean(one) for one in points.values()], marker="o", label=system)
        axis.set_title(f"{title}, 64 examples")
        axis.set_xlabel("layers without the adapter")
        axis.set_ylabel("ms")
        axis.set_ylim(0, 1.08 * axis.get_ylim()[1])
        axis.grid(alpha=0.3)
        axis.legend()
    return figure


def _draw_tasks(rows: Sequence[Row]) -> Figure:
    """Draws the time saved by depth, and the saving expected from the number of layers."""
    rows = [row for row in rows if row["part"] == "inference" and row["system"] == "adapters"]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axis = figure.add_subplot()
    for tasks in sorted({int(str(row["tasks"])) for row in rows}):
        some = [row for row in rows if row["tasks"] == tasks]
        saved, counted = values(some, "depth", "saved"), values(some, "depth", "saved_by_count")
        (line,) = axis.plot(list(saved), [100 * fmean(s) for s in saved.values()], marker="o", label=f"{tasks} at once")
        axis.plot(list(counted), [100 * fmean(s) for s in counted.values()], linestyle=":", color=line.get_color())
    axis.set_xlabel("layers shared by all tasks")
    axis.set_ylabel("% of the time saved (dotted: of the layers)")
    axis.legend()
    axis.grid(alpha=0.3)
    return figure


def _draw_fusions(rows: Sequence[Row]) -> Figure:
    """Draws accuracy over time: whole, dropped from lower layers, pruned to fewer adapters."""
    rows = [row for row in rows if row["part"] == "fusion"]
    tasks = list(dict.fromkeys(str(row["task"]) for row in rows))
    figure = Figure(figsize=(4 * len(tasks), 4), layout="constrained")
    for number, task in enumerate(tasks, 1):
        axis = figure.add_subplot(1, len(tasks), number)
        for system, key, marker in (("dropped", "depth", "v"), ("pruned", "adapters", "s"), ("whole", "adapters", "o")):
            some = [row for row in rows if (row["task"], row["system"]) == (task, system)]
            times, right = values(some, key, "ms"), values(some, key, "score")
            at = [(fmean(times[name]), fmean(right[name])) for name in times]
            axis.plot(*zip(*at, strict=True), marker=marker, linestyle="-", label=system)
            for name, (x, y) in zip(times, at, strict=True):
                axis.annotate(f"{name:.0f}", (x, y), textcoords="offset points", xytext=(4, 4), fontsize=7)
        axis.set_title(f"fusion for {task}")
        axis.set_xlabel("ms for 64 examples")
        axis.set_ylabel("% right")
        axis.grid(alpha=0.3)
        if number == 1:
            axis.legend(title="dropped: layers, pruned: adapters", fontsize=7, title_fontsize=7)
    return figure
