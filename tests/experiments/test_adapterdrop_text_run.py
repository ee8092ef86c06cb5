"""AdapterDrop's text tasks as a command, in a tiny published text encoder; once more, it finds its rows."""

import json
import subprocess
import sys
from pathlib import Path

from experiments.adapterdrop.tables import text_tables
from experiments.adapterdrop.text_tasks import NAMES
from tests.text_task_files import tiny_text_encoder, write_task_files

LAYERS = 3


def test_every_part_runs_and_goes_on_where_it_was(tmp_path: Path) -> None:
    body = tiny_text_encoder(tmp_path / "tiny", LAYERS)
    line = [sys.executable, "-m", "experiments.adapterdrop", "--tasks", "text", "--small", "--repeats", "1"]
    line += ["--bodies", str(body), "--data", str(write_task_files(tmp_path / "data")), "--seeds", "0"]
    line += ["--specialised", "2", "--folder", str(tmp_path / "run"), "--output", str(tmp_path)]
    subprocess.run([*line, "--parts", "depths,full"], check=True, capture_output=True)
    path = tmp_path / "adapterdrop_text.json"
    rows = json.loads(path.read_text())["rows"]
    assert {row["body"] for row in rows} == {"tiny"}
    controls = [row for row in rows if row["part"] == "control"]
    assert [row["task"] for row in controls] == list(NAMES)
    assert controls[0]["examples"] == {"train": 24, "val": 12, "test": 12}
    depths = [row for row in rows if row["part"] == "depths"]
    everywhere = {(mode, n) for mode in ("standard", "robust", "shared") for n in range(LAYERS)}
    wanted = everywhere | {("specialised", 2), ("full fine-tuning", 0)}
    measured = {(row["task"], row["split"], row["mode"], row["depth"]) for row in depths}
    trained_for = {("standard", 0), ("robust", 0), ("shared", 0), ("specialised", 2), ("full fine-tuning", 0)}
    assert measured == {(task, "test", *way) for task in NAMES for way in wanted} | {
        (task, "val", *way) for task in NAMES for way in trained_for
    }
    assert len(measured) == len(depths)

    line += ["--parts", "choice,depths,full,fusion,library,speeds"]
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    again = json.loads(path.read_text())["rows"]
    assert again[: len(rows)] == rows
    more = again[len(rows) :]
    assert {row["part"] for row in more} == {"choice", "fusion", "library", "training", "inference"}
    assert {(row["mode"], row["split"]) for row in more if row["part"] == "choice"} == {
        ("standard", "val"),
        ("full fine-tuning", "val"),
    }
    assert max(row["difference"] for row in more if row["part"] == "library") < 1e-4
    assert {row["task"] for row in more if row["part"] == "fusion"} == {"cola", "mrpc", "rte", "sts"}
    assert {row["tasks"] for row in more if row["part"] == "inference"} == {1, 8}
    assert text_tables(again) in done.stdout
    assert "Not measured yet" not in text_tables(again)
