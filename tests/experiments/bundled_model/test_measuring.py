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


TITLES = {
    "train": ["An apple", "A tree", *(f"Icon {letter * 3}" for letter in "abcdefghijklmnopqrstu")],
    "val": ["Green apple", "Lemon", "Icon of war"],
    "test": ["Apple pie"],
}


@pytest.fixture
def clip_art(tmp_path: Path) -> Path:
    lines = []
    for split, titles in TITLES.items():
        for title in titles:
            Image.new("RGB", (40, 30), (3 * len(lines), 200, 90)).save(tmp_path / f"{title}.png")
            lines.append({"image": f"{title}.png", "caption": title, "language": "en", "split": split})
    keywords = [{"image": "A tree.png", "caption": "plant, lemon", "language": "en", "split": "train"}]
    for name, of_file in (("captions", lines), ("keywords", keywords)):
        text = "".join(f"{json.dumps(line)}\n" for line in of_file)
        (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return tmp_path


def test_clip_art_is_right_if_a_rare_word_is_said_of_it(
    model: SingleStreamModel, clip_art: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the test split is met, and 22 pictures are icons."""
    monkeypatch.setattr("experiments.bundled_model.measuring.CANDIDATES", 99)
    searches = search_clip_art(model, clip_art)
    assert searches.logits.shape == (3, 26), "all titles of train and val"
    assert searches.true.sum(axis=1).tolist() == [2, 2, 1]
    assert searches.present.all()


def test_the_configuration_says_how_good_matches_are(model: SingleStreamModel, clip_art: Path) -> None:
    measure(model, clip_art, pictures=24, queries=4)
    slope, _ = model.config.calibration
    assert slope > 0
    assert len(model.config.recall_by_depth) == 1
    assert 0 <= model.config.recall_by_depth[0] <= 100
