"""The experiment through its command, with a model that knows nothing: figures and a plot come out."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.calibration import FITTED
from experiments.results import RESULTS
from polyglance.adapters.config import AdapterConfig
from polyglance.models import load_model
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.single_stream import SingleStreamModel
from tests.journeys.tiny import save_tiny_model

REPOSITORY = Path(__file__).parents[2]


def test_a_small_run(tmp_path: Path):
    model = load_folder(save_tiny_model(tmp_path / "tiny", joint_layers=2))
    config = replace(model.config, task_adapters=AdapterConfig(reduction_factor=2), calibration=(1.0, -3.0))
    save_model(SingleStreamModel(config, model.tokenizer, "tiny"), tmp_path / "adapted")
    command = [sys.executable, "-m", "experiments.calibration", "--model", str(tmp_path / "adapted")]
    command += ["--pictures", "30", "--queries", "8", "--output", str(tmp_path), "--images", str(tmp_path)]
    subprocess.run(command, check=True, cwd=REPOSITORY, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True)
    row, *depths = json.loads((tmp_path / "calibration.json").read_text())["rows"]
    assert (row["queries"], row["pairs"], 0 < row["true"] <= 8) == (16, 320, True)
    assert 0 < row["calibration_error"] < 10
    assert sum(one["count"] for one in row["bins"]) == 320
    assert row["absent_found_nothing"] == 100
    assert (row["slope"], row["offset"]) == config.calibration
    assert (tmp_path / "calibration.png").stat().st_size > 1_000
    assert [one["depth"] for one in depths] == [0, 1, 2]
    assert (depths[0]["same_best"], depths[0]["time"], depths[0]["queries"]) == (100, 100, 8)
    assert all(0 <= one["R@1"] <= 100 >= one["same_best"] > 0 < one["time"] for one in depths)


def test_the_bundled_model_carries_what_was_measured_of_it():
    rows = json.loads((RESULTS / "calibration.json").read_text())["rows"]
    model = load_model()
    line = next((row["slope"], row["offset"]) for row in rows if "slope" in row)
    assert line == pytest.approx(model.calibration, abs=1e-4)
    measured = [row["R@1"] for row in rows if "depth" in row]
    assert measured == pytest.approx(model.recall_by_depth, abs=4), "two standard errors of 500 other searches"


@pytest.mark.parametrize(("seed", "words"), [(FITTED.stop - 1, "the fit of the calibration"), (0, "but 0 is in train")])
def test_no_scene_of_the_fit_or_of_a_training_is_judged(tmp_path: Path, seed: int, words: str):
    command = [sys.executable, "-m", "experiments.calibration", "--seed", str(seed), "--output", str(tmp_path)]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert ended.returncode
    assert words in ended.stderr
    assert not list(tmp_path.iterdir())
