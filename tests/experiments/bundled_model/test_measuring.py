"""What the matches of a trained model are calibrated on."""

from pathlib import Path

from experiments.bundled_model.measuring import measure
from polyglance.models import load_single_stream
from tests.journeys.tiny import save_tiny_model


def test_the_configuration_says_how_good_matches_are(tmp_path: Path) -> None:
    model = load_single_stream(save_tiny_model(tmp_path / "model"))
    measure(model, pictures=24, queries=4)
    slope, _ = model.config.calibration
    assert slope > 0
    assert len(model.config.recall_by_depth) == 1
    assert 0 <= model.config.recall_by_depth[0] <= 100
