"""What the matches of a trained model are calibrated on."""

import json
from pathlib import Path

import pytest
from PIL import Image

from experiments.bundled_model.measuring import measure, search_clip_art
from polyglance.models import load_single_stream
from polyglance.models.families.single_stream import SingleStreamModel
from tests.journeys.tiny import save_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> SingleStreamModel:
    return load_single_stream(save_tiny_model(tmp_path / "model"))


@pytest.fixture
def clip_art(tmp_path: Path) -> Path:
    lines = []
    for number, split in enumerate(("train", "val", "val", "train", "val", "val", "test")):
        Image.new("RGB", (40, 30), (30 * number, 200, 90)).save(tmp_path / f"{number}.png")
        lines.append({"image": f"{number}.png", "caption": f"Thing {number}", "language": "en", "split": split})
    (tmp_path / "captions.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return tmp_path


def test_every_second_search_for_clip_art_is_in_vain_and_nothing_of_the_test_is_met(
    model: SingleStreamModel, clip_art: Path
) -> None:
    searches = search_clip_art(model, clip_art)
    assert searches.present.tolist() == [False, True, False, True]
    assert searches.true.sum(axis=1).tolist() == [0, 1, 0, 1]
    assert searches.logits.shape == (4, 4), "two pictures of train, and the two of val that are there"


def test_the_configuration_says_how_good_matches_are(model: SingleStreamModel, clip_art: Path) -> None:
    measure(model, clip_art, pictures=24, queries=4)
    slope, _ = model.config.calibration
    assert slope > 0
    assert len(model.config.recall_by_depth) == 1
    assert 0 <= model.config.recall_by_depth[0] <= 100
