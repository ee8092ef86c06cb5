"""What a model's name stands for, and what is remembered to load it again."""

from pathlib import Path

import pytest
import torch

from polyglance.errors import ConfigurationError
from polyglance.models import BUNDLED, bundled_folder, load_model, note_on
from polyglance.models.sources import find_model
from tests.journeys.tiny import save_tiny_model

NAMES = ("polyglance-mini", "scenes-mini")


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_bundled_model_is_that_model_unless_a_separator_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_tiny_model(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    named = find_model(name)
    assert (named.folder, named.loads_again) == (bundled_folder(), BUNDLED)
    for path in (f"./{name}", f"{name}/", str(folder), Path(name)):
        found = find_model(path)
        assert (found.folder, found.loads_again) == (folder, str(folder))
    model = load_model(name)
    assert (model.name, model.source, model.fingerprint) == (BUNDLED, BUNDLED, load_model().fingerprint)
    assert load_model(f"./{name}").name == "tiny"


@pytest.mark.parametrize("name", NAMES)
def test_answers_of_each_edition_come_with_a_note(name: str) -> None:
    assert note_on(name) == note_on(f"{name}+fr") == f"{name} can answer about drawn scenes only"
    assert note_on(f"another-{name}") is note_on(f"{name}-2") is None


def test_folders_are_texts_and_paths_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_tiny_model(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    for name in ("mine", Path("mine"), folder):
        model = load_model(name)
        assert model.source == str(folder)
        assert load_model(model.source).fingerprint == model.fingerprint
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_model("~/mine").source == load_model(Path("~/mine")).source == str(folder)


@pytest.mark.parametrize("name", ["nonsense", Path("nonsense"), Path("owner/model")], ids=repr)
def test_what_is_no_model_is_refused(name: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="expected"):
        load_model(name)


def test_a_model_of_sentence_transformers_is_found_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_tiny_model(tmp_path / "embedder")
    monkeypatch.chdir(tmp_path)
    assert find_model("st:embedder").loads_again == f"st:{folder}"


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(ConfigurationError, match=f"expected a device that torch can use here, got {device}"):
        load_model(device=device)


def test_a_dtype_of_integers_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"expected a floating point dtype .* got torch\.int8"):
        load_model(dtype=torch.int8)
