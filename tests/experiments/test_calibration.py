"""The experiment through its command, with a model that knows nothing: figures and a plot come out."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.journeys.tiny import save_tiny_model

REPOSITORY = Path(__file__).parents[2]


def test_a_small_run(tmp_path: Path):
    command = [sys.executable, "-m", "experiments.calibration", "--model", str(save_tiny_model(tmp_path / "tiny"))]
    command += ["--pictures", "30", "--queries", "8", "--output", str(tmp_path), "--images", str(tmp_path)]
    subprocess.run(command, check=True, cwd=REPOSITORY, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True)
    own, calibrated = json.loads((tmp_path / "calibration.json").read_text())["rows"]
    assert (own["slope"], own["offset"], own["queries"], own["pairs"]) == (1, 0, 16, 320)
    assert 0 < own["true"] == calibrated["true"] <= 8
    assert calibrated["calibration_error"] < own["calibration_error"]
    assert sum(one["count"] for one in calibrated["bins"]) == 320
    assert calibrated["absent_found_nothing"] == 100
    assert (tmp_path / "calibration.png").stat().st_size > 1_000
