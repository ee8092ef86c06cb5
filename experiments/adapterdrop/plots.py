"""The experiment's pictures, from its results."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.figure import Figure

from experiments.results import Row


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Writes `adapterdrop-*.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    if depths := [row for row in rows if row["part"] == "depths"]:
        drawn.append(_draw_depths(depths, folder / "adapterdrop-depths.png"))
    if tasks := [row for row in rows if row["part"] == "inference" and row["system"] == "adapters"]:
        drawn.append(_draw_tasks(tasks, folder / "adapterdrop-tasks.png"))
    return drawn


def means(rows: Iterable[Row], key: str, value: str) -> dict[object, float]:
    """The mean of a figure for each value of a key, in ascending order."""
    found: defaultdict[object, list[float]] = defaultdict(list)
    for row in rows:
        found[row[key]].append(float(str(row[value])))
    return {name: fmean(found[name]) for name in sorted(found, key=lambda name: (str(type(name)), name))}


def _draw_depths(rows: Sequence[Row], path: Path) -> Path:
    """A panel for the mean and one for each task."""
    tasks = sorted({str(row["task"]) for row in rows})
    panels = [("mean of the tasks", rows), *((task, [row for row in rows if row["task"] == task]) for task in tasks)]
    figure = Figure(figsize=(12, 10), layout="constrained")
    for number, (title, some) in enumerate(panels, 1):
        axis = figure.add_subplot(3, 3, number)
        for mode, marker in (("standard", "o"), ("robust", "s"), ("specialised", "^"), ("shared", "x")):
            points = means((row for row in some if row["mode"] == mode), "depth", "accuracy")
            line = "none" if mode == "specialised" else "-"
            axis.plot(list(points), list(points.values()), marker=marker, linestyle=line, label=mode)
        axis.set_title(title)
        axis.set_xlabel("layers without the adapter")
        axis.set_ylabel("% right")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    figure.savefig(path, dpi=110)
    return path


def _draw_tasks(rows: Sequence[Row], path: Path) -> Path:
    """The time saved by depth, and what counting layers says."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axis = figure.add_subplot()
    for tasks in sorted({int(str(row["tasks"])) for row in rows}):
        some = [row for row in rows if row["tasks"] == tasks]
        saved, counted = means(some, "depth", "saved"), means(some, "depth", "saved_by_count")
        (line,) = axis.plot(list(saved), [100 * s for s in saved.values()], marker="o", label=f"{tasks} at once")
        axis.plot(list(counted), [100 * s for s in counted.values()], linestyle=":", color=line.get_color())
    axis.set_xlabel("layers shared by all tasks")
    axis.set_ylabel("% of the time saved (dotted: of the layers)")
    axis.legend()
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    return path
