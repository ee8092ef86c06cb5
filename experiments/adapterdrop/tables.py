"""The experiment's tables in Markdown, from its rows."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, median
from typing import Any

from docs.figures import table

Rows = Sequence[dict[str, Any]]


def tables(rows: Rows) -> str:
    """All tables for which there are rows, each below its title."""
    parts: list[tuple[str, str, Callable[[Rows], str]]] = [
        ("depths", "Percent right by the layers without an adapter", depths),
        ("training", "Time of a training step and of a forward, 64 examples", steps),
        ("inference", "Tasks at once", at_once),
        ("fusion", "A fusion of all tasks' adapters", fusions),
    ]
    there = {row["part"] for row in rows}
    return "\n\n".join(f"## {title}\n\n{draw(rows)}" for part, title, draw in parts if part in there)


def _mean(rows: Iterable[dict[str, Any]], value: str = "accuracy") -> float:
    return fmean(row[value] for row in rows)


def depths(rows: Rows) -> str:
    """Tasks down, ways of training and depths across: the mean over the seeds."""
    controls = {row["task"]: row["commonest"] for row in rows if row["part"] == "control"}
    rows = [row for row in rows if row["part"] == "depths"]
    at = sorted({row["depth"] for row in rows})
    lines = []
    for mode in dict.fromkeys(row["mode"] for row in rows):
        of_mode = [row for row in rows if row["mode"] == mode]
        tasks = list(dict.fromkeys(row["task"] for row in of_mode))
        for name, some in [(task, [row for row in of_mode if row["task"] == task]) for task in tasks] + [
            ("**mean**", of_mode)
        ]:
            cells = [[row for row in some if row["depth"] == depth] for depth in at]
            commonest = f"{controls[name]:.1f}" if name in controls else f"{fmean(controls.values()):.1f}"
            lines.append([mode, name, commonest, *(f"{_mean(cell):.1f}" if cell else "" for cell in cells)])
    return table(["adapters", "task", "commonest label", *(f"n={depth}" for depth in at)], lines)


def steps(rows: Rows) -> str:
    training = [row for row in rows if row["part"] == "training"]
    inference = [row for row in rows if row["part"] == "inference" and row["tasks"] == 1]
    (full,) = (row["ms"] for row in training if row["system"] == "full fine-tuning")
    (plain,) = (row["ms"] for row in inference if row["system"] == "full fine-tuning")
    at = sorted({row["depth"] for row in training})

    def cells(some: Rows, system: str, whole: float) -> list[str]:
        by_depth = {row["depth"]: row["ms"] for row in some if row["system"] == system}
        return [f"{by_depth[depth]:.1f} ({100 * by_depth[depth] / whole - 100:+.0f} %)" for depth in at]

    lines = [
        ["training, full fine-tuning", f"{full:.1f}"],
        ["training, adapter", *cells(training, "adapter", full)],
        ["training, adapter, states kept", *cells(training, "adapter, states kept", full)],
        ["forward, full fine-tuning", f"{plain:.1f}"],
        ["forward, one adapter", *cells(inference, "adapters", plain)],
    ]
    return table(["ms (against full)", *(f"n={depth}" for depth in at)], lines)


def at_once(rows: Rows) -> str:
    """Tasks at once down, depth across: time saved, and in brackets what counting layers says."""
    rows = [row for row in rows if row["part"] == "inference" and row["system"] == "adapters"]
    at = sorted({row["depth"] for row in rows})
    lines = []
    for tasks in sorted({row["tasks"] for row in rows}):
        by_depth = {row["depth"]: row for row in rows if row["tasks"] == tasks}
        cells = (f"{100 * by_depth[d]['saved']:.0f} ({100 * by_depth[d]['saved_by_count']:.0f})" for d in at)
        lines.append([tasks, f"{by_depth[0]['ms']:.1f}", *cells])
    return table(["tasks at once", "ms at n=0", *(f"% saved, n={depth} (counted)" for depth in at)], lines)


def fusions(rows: Rows) -> str:
    rows = [row for row in rows if row["part"] == "fusion"]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    kinds = list(dict.fromkeys((row["system"], row["depth"], row["adapters"]) for row in rows))
    lines = []
    for system, depth, adapters in kinds:
        some = [row for row in rows if (row["system"], row["depth"], row["adapters"]) == (system, depth, adapters)]
        name = {"whole": "whole", "dropped": f"not in the first {depth} layers", "pruned": f"pruned to {adapters}"}[
            system
        ]
        scores = (f"{_mean(row for row in some if row['task'] == task):.1f}" for task in tasks)
        lines.append([name, *scores, f"{median(row['ms'] for row in some):.1f}"])
    return table(["fusion of 8", *(f"{task}, % right" for task in tasks), "ms for 64"], lines)
