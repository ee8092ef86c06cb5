import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from polyglance.data.tokenization import Tokenizer
from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models import bundled_folder, load_model
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.single_stream import SingleStreamModel
from tests.journeys.tiny import save_tiny_model


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "tiny")
    model = load_folder(folder, torch.float32)
    save_model(model, tmp_path / "again")
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert load_folder(tmp_path / "again").fingerprint == model.fingerprint
    assert load_model(str(folder)).name == "tiny"


def test_a_folder_may_be_named_as_a_part_of_an_export_is(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "int8")
    assert load_folder(tmp_path / "int8").name


def test_what_was_measured_of_a_model_is_kept_and_makes_no_other_model_of_it(tmp_path: Path) -> None:
    """Libraries of the model stay its own: neither vectors nor states depend on it."""
    model = load_folder(save_tiny_model(tmp_path / "tiny"))
    model.config = replace(model.config, calibration=(0.5, -1.5), cosine_weight=2.5, recall_by_depth=(91.5,))
    save_model(model, tmp_path / "again")
    again = load_folder(tmp_path / "again")
    assert (again.calibration, again.cosine_weight, again.recall_by_depth) == ((0.5, -1.5), 2.5, (91.5,))
    assert again.fingerprint == model.fingerprint
    model.config = replace(model.config, temperature=0.5)
    save_model(model, tmp_path / "other")
    assert load_folder(tmp_path / "other").fingerprint != model.fingerprint


def test_a_name_that_is_no_model_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no model 'nonsense'"):
        load_model("nonsense")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_or_torn_file_is_named(tmp_path: Path, name: str) -> None:
    folder = save_tiny_model(tmp_path)
    path = folder / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=name):
        load_folder(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match=name):
        load_folder(folder)


@pytest.mark.parametrize("moved", [["model.safetensors"], ["model.safetensors", "config.json"]])
def test_files_of_two_models_are_refused(tmp_path: Path, moved: list[str]) -> None:
    """A save into the folder of another model that was killed: its files come in this order."""
    save_tiny_model(tmp_path / "old")
    model = load_folder(save_tiny_model(tmp_path / "new", seed=1))
    assert isinstance(model, SingleStreamModel)
    model.name = "newer"
    model.tokenizer = Tokenizer.train(["a green circle below a blue plate", "ein grüner Kreis"], 300)
    assert model.tokenizer.vocabulary <= model.config.vocabulary
    save_model(model, tmp_path / "new")
    for name in moved:
        (tmp_path / "new" / name).replace(tmp_path / "old" / name)
    with pytest.raises(CheckpointError, match="is not the file that was saved with") as raised:
        load_folder(tmp_path / "old")
    assert ("config.json", "tokenizer.json")[len(moved) - 1] in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        {"family": "dual-tower"},
        {"widht": 3},
        {"width": 32},
        {"layers": 3},
        {"calibration": [1]},
        {"calibration": 1},
        {"recall_by_depth": 1},
    ],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    folder = save_tiny_model(tmp_path)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError):
        load_folder(folder)


def test_the_bundled_model_is_small_enough_and_speaks_eight_languages() -> None:
    size = sum(path.stat().st_size for path in bundled_folder().iterdir())
    assert size <= 16_000_000
    assert load_model().languages == ("en", "de", "pt", "ru", "id", "bn", "ko", "zh")
