"""Makes the experiment's tables in Markdown from its rows."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from statistics import fmean, median
from typing import Any

from docs.markdown import table

Rows = Sequence[dict[str, Any]]


PRETRAINED = ("match",)
"""Tasks of the scene world that are losses of the pre-training, so that a body knows them without adapters."""
FULL = "full fine-tuning"
MODES = ("standard", "robust", "specialised")
SIDES = (*MODES, "shared, nothing dropped", "fusion pruned to 2 of 8")
PAPER_KEPT = {"robust": "95.4", "specialised": "97.1", "fusion pruned to 2 of 8": "about 100"}
HALF = {"scenes": (4, 8), "all-MiniLM-L6-v2": (3, 6), "multilingual-e5-small": (5, 12)}
"""The drop depth of about half of the layers of each body, and the number of its layers."""
PAPER = "The paper, in 12 layers: at n=5, specialised adapters keep 97.1 %, robust ones 95.4 %."


def tables(rows: Rows) -> str:
    """Returns all tables of scene tasks for which there are rows."""
    return "\n\n".join(text for draw in TABLES.values() if (text := draw(rows)))


def text_tables(rows: Rows) -> str:
    """Returns all tables of text tasks."""
    return "\n\n".join(draw(rows) for draw in TEXT_TABLES.values())


def _mean(rows: Iterable[dict[str, Any]], value: str = "score") -> float:
    return fmean(row[value] for row in rows)


def _depths(rows: Rows) -> Rows:
    return on_test([row for row in rows if row["part"] == "depths"])


def on_test(rows: Rows) -> Rows:
    """Leaves out the rows of validation examples."""
    return [row for row in rows if row.get("split") != "val"]


def of_complete_tasks(rows: Rows) -> Rows:
    """Returns the rows of the tasks and seeds that were measured in every way, so that each mean is over the same ones:
    of the tasks with the most rows, and among these of the seeds with the most rows. Full fine-tuning, which is
    measured apart, is left out while it lacks one of them."""
    full = [row for row in rows if row.get("mode") == FULL]
    rows = [row for row in rows if row.get("mode") != FULL]
    for key in (("task", "seed"), ("seed",)):
        counts = Counter(tuple(row[name] for name in key) for row in rows)
        rows = [row for row in rows if counts[tuple(row[name] for name in key)] == max(counts.values())]
    runs = {(row["task"], row["seed"]) for row in rows}
    full = [row for row in full if (row["task"], row["seed"]) in runs]
    return [*rows, *full] if len(full) == len(runs) else rows


def scores(rows: Rows) -> str:
    """One row per way of training and task, one column per depth: the mean over the seeds."""
    controls = {row["task"]: row["commonest"] for row in rows if row["part"] == "control"}
    rows = _depths(rows)
    at = sorted({row["depth"] for row in rows})
    lines = []
    for mode in dict.fromkeys(row["mode"] for row in rows):
        of_mode = [row for row in rows if row["mode"] == mode]
        for task in dict.fromkeys(row["task"] for row in of_mode):
            some = [row for row in of_mode if row["task"] == task]
            cells = [[row for row in some if row["depth"] == depth] for depth in at]
            lines.append(
                [mode, task, f"{controls[task]:.1f}", *(f"{_mean(cell):.1f}" if cell else "" for cell in cells)]
            )
    return table(["adapters", "task", "most frequent label", *(f"n={depth}" for depth in at)], lines)


def kept(rows: Rows) -> str:
    """Two rows per way of training, one column per depth, over the tasks and seeds that are complete.

    The first is the mean over tasks and seeds, with the lowest and the highest seed in brackets. The second is its
    percentage of the score of standard adapters with nothing dropped. Tasks of the pre-training do not count.
    """
    return _kept([row for row in rows if row.get("task") not in PRETRAINED], "% right")


def _kept(rows: Rows, unit: str, floors: Mapping[str, float] | None = None) -> str:
    """floors: the scores of the most frequent label of each task; a third row then counts what is above them alone."""
    rows = of_complete_tasks(_depths(rows))
    whole = _whole(rows)
    none = dict.fromkeys((row["task"] for row in rows), 0.0)
    shares = {"% kept": none, **({"% kept above the most frequent label": floors} if floors else {})}
    at = sorted({row["depth"] for row in rows})
    lines = []
    for mode in dict.fromkeys(row["mode"] for row in rows):
        cells = {depth: [row for row in rows if (row["mode"], row["depth"]) == (mode, depth)] for depth in at}
        lines.append([mode, unit, *(_over_seeds(some, lambda one: (one["score"], 100.0)) for some in cells.values())])
        for what, floor in shares.items():

            def share(row: Mapping[str, Any], floor: Mapping[str, float] = floor) -> tuple[float, float]:
                task = row["task"]
                return row["score"] - floor[task], whole[task, row["seed"]] - floor[task]

            lines.append([mode, what, *(_over_seeds(some, share) for some in cells.values())])
    return table(["adapters", "", *(f"n={depth}" for depth in at)], lines)


def side_by_side(scenes: Rows, text: Rows) -> str:
    """One row per way of training, one column per body with rows, after the paper's: what is kept of the score of
    standard adapters with nothing dropped, and of a whole fusion when it is pruned to two adapters."""
    scenes = [row for row in scenes if row.get("task") not in PRETRAINED]
    names = {"scenes": "drawn scenes", "all-MiniLM-L6-v2": "MiniLM", "multilingual-e5-small": "E5"}
    columns = {"the paper, n=5 of 12": dict(PAPER_KEPT)}
    for name, called in names.items():
        rows = scenes if name == "scenes" else [row for row in text if row["body"] == name]
        if any(row["part"] == "depths" for row in rows):
            depth, layers = HALF[name]
            columns[f"{called}, n={depth} of {layers}"] = _side(rows, depth)
    lines = [[what, *(found.get(what, "") for found in columns.values())] for what in SIDES]
    return table(["% kept", *columns], lines)


def _side(rows: Rows, depth: int) -> dict[str, str]:
    fusions = of_complete_tasks(on_test([row for row in rows if row["part"] == "fusion"]))
    rows = of_complete_tasks(_depths(rows))
    whole = _whole(rows)
    fused = {(row["task"], row["seed"]): row["score"] for row in fusions if row["system"] == "whole"}

    def of(some: Rows, wholes: Mapping[tuple[str, int], float]) -> str:
        return _over_seeds(some, lambda row: (row["score"], wholes[row["task"], row["seed"]]))

    found = {mode: of([row for row in rows if (row["mode"], row["depth"]) == (mode, depth)], whole) for mode in MODES}
    shared = [row for row in rows if (row["mode"], row["depth"]) == ("shared", 0)]
    pruned = [row for row in fusions if row["adapters"] == 2]
    return {**found, "shared, nothing dropped": of(shared, whole), "fusion pruned to 2 of 8": of(pruned, fused)}


def _whole(rows: Rows) -> dict[tuple[str, int], float]:
    """Returns the score of each task and seed with standard adapters and nothing dropped."""
    return {(row["task"], row["seed"]): row["score"] for row in rows if (row["mode"], row["depth"]) == ("standard", 0)}


def _over_seeds(rows: Rows, share: Callable[[Mapping[str, Any]], tuple[float, float]]) -> str:
    """Returns the mean over seeds, with the lowest and the highest in brackets. share: a row's part and its whole; each
    seed is the sum of its parts in percent of that of its wholes."""
    found = []
    for seed in dict.fromkeys(row["seed"] for row in rows):
        parts, wholes = zip(*(share(row) for row in rows if row["seed"] == seed), strict=True)
        found.append(100 * sum(parts) / sum(wholes))
    if not found:
        return ""
    spread = f" ({min(found):.1f} to {max(found):.1f})" if len(found) > 1 else ""
    return f"{fmean(found):.1f}{spread}"


def steps(rows: Rows) -> str:
    """One column per depth: the times of a training step and of a forward pass, compared with full fine-tuning."""
    training = [row for row in rows if row["part"] == "training"]
    inference = [row for row in rows if row["part"] == "inference" and row["tasks"] == 1]
    if not training:
        return ""
    (full,) = (row["ms"] for row in training if row["system"] == "full fine-tuning")
    (plain,) = (row["ms"] for row in inference if row["system"] == "full fine-tuning")
    at = sorted({row["depth"] for row in training})

    def cells(some: Rows, system: str, whole: float) -> list[str]:
        by_depth = {row["depth"]: row["ms"] for row in some if row["system"] == system}
        return [f"{by_depth[depth]:.1f} ({100 * by_depth[depth] / whole - 100:+.0f} %)" for depth in at]

    lines = [
        ["training, full fine-tuning", f"{full:.1f}", *("" for _ in at[1:])],
        ["training, adapter", *cells(training, "adapter", full)],
        ["training, adapter, states kept", *cells(training, "adapter, states kept", full)],
        ["forward, full fine-tuning", f"{plain:.1f}", *("" for _ in at[1:])],
        ["forward, one adapter", *cells(inference, "adapters", plain)],
    ]
    return table(["ms for 64 examples (relative to full fine-tuning)", *(f"n={depth}" for depth in at)], lines)


def at_once(rows: Rows) -> str:
    """One row per number of tasks at once, one column per depth: the time saved, with the saving by layer count in
    brackets."""
    rows = [row for row in rows if row["part"] == "inference" and row["system"] == "adapters"]
    at = sorted({row["depth"] for row in rows})
    lines = []
    for tasks in sorted({row["tasks"] for row in rows}):
        by_depth = {row["depth"]: row for row in rows if row["tasks"] == tasks}
        cells = (f"{100 * by_depth[d]['saved']:.0f} ({100 * by_depth[d]['saved_by_count']:.0f})" for d in at)
        lines.append([tasks, f"{by_depth[0]['ms']:.1f}", *cells])
    head = ["tasks at once", "ms at n=0", *(f"% saved, n={depth} (counted)" for depth in at)]
    return table(head, lines) if lines else ""


def fusions(rows: Rows, unit: str = ", % right") -> str:
    """One row per fusion (whole, dropped from lower layers, pruned) after the task's own adapter, one column per
    task."""
    alone = _whole(_depths(rows))
    rows = on_test([row for row in rows if row["part"] == "fusion"])
    if not rows:
        return ""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    runs = {(row["task"], row["seed"]) for row in rows}
    timed = ["ms for 64 examples"] if "ms" in rows[0] else []
    own = (f"{fmean(alone[run] for run in runs if run[0] == task):.1f}" for task in tasks)
    lines = [["the task's own adapter", *own, *("" for _ in timed)]]
    for system, depth, adapters in dict.fromkeys((row["system"], row["depth"], row["adapters"]) for row in rows):
        some = [row for row in rows if (row["system"], row["depth"], row["adapters"]) == (system, depth, adapters)]
        name = {
            "whole": "whole",
            "dropped": f"dropped from the first {depth} layers" if depth > 1 else "dropped from the first layer",
            "pruned": f"pruned to {adapters}",
        }[system]
        figures = (f"{_mean(row for row in some if row['task'] == task):.1f}" for task in tasks)
        lines.append([name, *figures, *(f"{median(row['ms'] for row in some):.1f}" for _ in timed)])
    return table(["fusion of 8", *(f"{task}{unit}" for task in tasks), *timed], lines)


TABLES: Mapping[str, Callable[[Rows], str]] = {
    "adapterdrop_kept": kept,
    "adapterdrop_scores": scores,
    "adapterdrop_steps": steps,
    "adapterdrop_at_once": at_once,
    "adapterdrop_fusions": fusions,
}
"""The tables by their names in the documentation."""


# -- text tasks: each table once per body ------------------------------------------------------------------------------


def text_kept(rows: Rows) -> str:
    """The mean score and the percentage kept, as `kept`; the percentage kept of what is above the most frequent label;
    and the paper's percentages."""
    floors = {row["task"]: row["commonest"] for row in rows if row["part"] == "control"}
    complete = of_complete_tasks(_depths(rows))
    tasks, seeds = (", ".join(dict.fromkeys(str(row[name]) for row in complete)) for name in ("task", "seed"))
    return f"{_kept(rows, 'mean score', floors)}\n\nOver the tasks {tasks} and the seeds {seeds}. {PAPER}"


def text_scores(rows: Rows) -> str:
    """As `scores`, with the measure of each task."""
    metrics = {row["task"]: row["metric"] for row in rows if row["part"] == "control"}
    return scores(
        [{**row, "task": f"{row['task']} ({metrics[row['task']]})"} if "task" in row else row for row in rows]
    )


def text_data(rows: Rows) -> str:
    """One row per task: its numbers of examples, and the training examples that were left out."""
    lines = [
        [row["task"], row["metric"], *row["examples"].values(), row["left_out"]["train"], row["left_out"]["val"]]
        for row in rows
        if row["part"] == "control"
    ]
    head = ["task", "measure", "train", "val", "test", "left out of train", "left out of val"]
    return table(head, lines)


def choices(rows: Rows) -> str:
    """One row per way of training and learning rate, one column per task: the validation score of each."""
    rows = [row for row in rows if row["part"] == "choice"]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    lines = []
    for mode, rate in sorted({(row["mode"], row["rate"]) for row in rows}):
        found = {row["task"]: row["score"] for row in rows if (row["mode"], row["rate"]) == (mode, rate)}
        mean = f"{fmean(found.values()):.1f}" if len(found) == len(tasks) else ""
        lines.append([mode, f"{rate:g}", *(f"{found[task]:.1f}" if task in found else "" for task in tasks), mean])
    return table(["adapters", "learning rate", *(f"{task}, validation" for task in tasks), "mean"], lines)


def library(rows: Rows) -> str:
    """One row per task: the score here and in the adapters library, both in float32."""
    rows = [row for row in rows if row["part"] == "library"]
    lines = ([row["task"], f"{row['score']:.2f}", f"{row['library']:.2f}", f"{row['difference']:.0e}"] for row in rows)
    return table(["task", "score here", "score in the adapters library", "largest difference of a logit"], lines)


def _by_body(draw: Callable[[Rows], str], part: str) -> Callable[[Rows], str]:
    """Makes a table of each body that has rows of a part."""

    def drawn(rows: Rows) -> str:
        bodies = dict.fromkeys(row["body"] for row in rows if row["part"] == part)
        found = (f"**{body}**\n\n{draw([row for row in rows if row['body'] == body])}" for body in bodies)
        return "\n\n".join(found) or "*Not measured yet.*"

    return drawn


TEXT_TABLES: Mapping[str, Callable[[Rows], str]] = {
    "adapterdrop_text_data": _by_body(text_data, "control"),
    "adapterdrop_text_choices": _by_body(choices, "choice"),
    "adapterdrop_text_kept": _by_body(text_kept, "depths"),
    "adapterdrop_text_scores": _by_body(text_scores, "depths"),
    "adapterdrop_text_steps": _by_body(steps, "training"),
    "adapterdrop_text_at_once": _by_body(at_once, "inference"),
    "adapterdrop_text_fusions": _by_body(partial(fusions, unit=""), "fusion"),
    "adapterdrop_text_library": _by_body(library, "library"),
}
"""The tables of text tasks by their names in the documentation."""
