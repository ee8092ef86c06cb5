"""The whole experiment as a command, at a thousandth of its size; once more, it finds its rows."""

import json
import subprocess
import sys
from pathlib import Path

from experiments.adapterdrop.tables import kept, of_complete_tasks, side_by_side, text_kept


def test_every_part_runs_and_goes_on_where_it_was(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "experiments.adapterdrop", "--small", "--epochs", "1", "--repeats", "1"]
    line += ["--tasks", "verify,count,match", "--seeds", "0", "--specialised", "2"]
    line += ["--folder", str(tmp_path / "run"), "--output", str(tmp_path)]
    subprocess.run([*line, "--parts", "depths,fusion"], check=True, capture_output=True)
    path = tmp_path / "adapterdrop.json"
    rows = json.loads(path.read_text())["rows"]
    modes = {(row["mode"], row["depth"]) for row in rows if row["part"] == "depths" and row["task"] == "count"}
    everywhere = {(mode, depth) for mode in ("standard", "robust", "shared") for depth in range(4)}
    assert modes == everywhere | {("specialised", 2)}
    fusions = [(row["system"], row["depth"], row["adapters"]) for row in rows if row["part"] == "fusion"]
    assert fusions == [
        ("whole", 0, 3),
        *(("dropped", depth, 3) for depth in (1, 2, 3)),
        *(("pruned", 0, count) for count in (2, 1)),
    ]
    subprocess.run(line, check=True, capture_output=True)
    again = json.loads(path.read_text())["rows"]
    assert again[: len(rows)] == rows
    assert {row["part"] for row in again[len(rows) :]} == {"training", "inference"}
    pictures = {f"adapterdrop-{part}.png" for part in ("depths", "training", "inference", "fusion")}
    assert {file.name for file in tmp_path.glob("*.png")} == pictures


def test_a_mean_over_tasks_is_over_the_same_ones_for_every_seed_and_mode() -> None:
    complete = {0: "ab", 1: "a", 2: "ab"}
    rows = [
        {"seed": seed, "task": task, "mode": mode}
        for seed, tasks in complete.items()
        for task in tasks
        for mode in ("standard", "robust")
    ]
    begun = {"seed": 0, "task": "c", "mode": "standard"}
    full = [{"seed": seed, "task": task, "mode": "full fine-tuning"} for seed in (0, 2) for task in "ab"]
    complete_rows = [row for row in rows if row["seed"] != 1]
    assert of_complete_tasks([*rows, begun, *full[:3]]) == complete_rows
    assert of_complete_tasks([*rows, begun, *full]) == [*complete_rows, *full]
    assert of_complete_tasks(full) == []


def test_a_task_of_the_pretraining_is_not_in_the_mean() -> None:
    facts = {"part": "depths", "mode": "standard", "seed": 0}
    scores = {("verify", 0): 80.0, ("verify", 1): 40.0, ("match", 0): 90.0, ("match", 1): 90.0}
    rows = [{**facts, "task": task, "depth": n, "score": score} for (task, n), score in scores.items()]
    assert kept(rows).splitlines()[2:] == [
        "| standard | % right | 80.0 | 40.0 |",
        "| standard | % kept | 100.0 | 50.0 |",
    ]


def test_what_is_kept_is_also_counted_above_the_most_frequent_label() -> None:
    facts = {"part": "depths", "mode": "standard", "seed": 0}
    scores = {("cola", 0): 20.0, ("cola", 1): 10.0, ("trec", 0): 80.0, ("trec", 1): 50.0}
    rows = [{**facts, "task": task, "depth": n, "score": score} for (task, n), score in scores.items()]
    rows += [{"part": "control", "task": task, "commonest": floor} for task, floor in (("cola", 0.0), ("trec", 20.0))]
    assert text_kept(rows).splitlines()[2:5] == [
        "| standard | mean score | 50.0 | 30.0 |",
        "| standard | % kept | 100.0 | 60.0 |",
        "| standard | % kept above the most frequent label | 100.0 | 50.0 |",
    ]


def test_bodies_stand_side_by_side_with_half_of_their_layers_dropped() -> None:
    def depths(scores: dict[tuple[str, int], float], task: str) -> list[dict]:
        facts = {"part": "depths", "task": task, "seed": 0}
        return [{**facts, "mode": mode, "depth": depth, "score": score} for (mode, depth), score in scores.items()]

    fusion = {"part": "fusion", "task": "verify", "seed": 0, "depth": 0}
    scenes = depths({("standard", 0): 80.0, ("standard", 4): 40.0, ("shared", 0): 60.0}, "verify")
    scenes += [{**fusion, "system": "whole", "adapters": 8, "score": 50.0}]
    scenes += [{**fusion, "system": "pruned", "adapters": 2, "score": 45.0}]
    minilm = [
        {**row, "body": "all-MiniLM-L6-v2"} for row in depths({("standard", 0): 50.0, ("robust", 3): 40.0}, "cola")
    ]
    head, _, *lines = side_by_side(scenes, minilm).splitlines()
    assert head == "| % kept | the paper, n=5 of 12 | drawn scenes, n=4 of 8 | MiniLM, n=3 of 6 |"
    assert lines == [
        "| standard |  | 50.0 |  |",
        "| robust | 95.4 |  | 80.0 |",
        "| specialised | 97.1 |  |  |",
        "| shared, nothing dropped |  | 75.0 |  |",
        "| fusion pruned to 2 of 8 | about 100 | 90.0 |  |",
    ]
