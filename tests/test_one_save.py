"""Weights know the files that were saved with them."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from polyglance.adapters import Adapter, AdapterBank, AdapterConfig, load_adapter, save_adapter
from polyglance.errors import CheckpointError
from polyglance.models.tasks import TrainedTask, load_task, save_task
from polyglance.one_save import require_one_save, save_weights

BOTTLENECK = AdapterConfig(reduction_factor=4)


@pytest.mark.parametrize("changed", ["words.txt", "tower/config.json", "other.safetensors"])
def test_a_file_of_another_save_is_named(tmp_path: Path, changed: str) -> None:
    (tmp_path / "tower").mkdir()
    for name in ("words.txt", "tower/config.json", "other.safetensors", "training.log"):
        (tmp_path / name).write_text(name)
    weights = tmp_path / "model.safetensors"
    save_weights({"weight": torch.ones(2)}, weights)
    (tmp_path / "training.log").write_text("more")
    (tmp_path / "validation.json").write_text("later")
    require_one_save(weights)
    (tmp_path / changed).write_text("of another save")
    with pytest.raises(CheckpointError, match=f"{changed} is not the file that was saved with model"):
        require_one_save(weights)
    (tmp_path / changed).unlink()
    with pytest.raises(CheckpointError, match=f"{changed} is not the file that was saved with model"):
        require_one_save(weights)


def test_an_adapter_of_two_saves_is_refused(tmp_path: Path) -> None:
    save_adapter(Adapter(BOTTLENECK, 8, 2), tmp_path / "old", "x")
    save_adapter(Adapter(AdapterConfig(reduction_factor=4, activation="gelu"), 8, 2), tmp_path / "new", "x")
    shutil.copy(tmp_path / "new" / "adapter.safetensors", tmp_path / "old")
    with pytest.raises(CheckpointError, match="is not the file that was saved with adapter"):
        load_adapter(tmp_path / "old")


def test_a_task_of_two_saves_is_refused(tmp_path: Path) -> None:
    """Descriptions that are alike, and a kill between the adapter and its head."""
    for name in ("old", "new"):
        adapter = Adapter(BOTTLENECK, 8, 2)
        nn.init.normal_(adapter.down)
        head = nn.Linear(8, 2)
        save_task(TrainedTask("night", ("yes", "no"), None, adapter, head, "tiny", "0" * 16, {}), tmp_path / name)
    assert load_task(tmp_path / "old").labels == ("yes", "no")
    shutil.copy(tmp_path / "new" / "adapter.safetensors", tmp_path / "old")
    with pytest.raises(CheckpointError, match="is not the file that was saved with head"):
        load_task(tmp_path / "old")


def test_a_folder_of_an_adapter_is_named_by_a_text_as_well(tmp_path: Path) -> None:
    folder = str(tmp_path / "saved")
    save_adapter(Adapter(BOTTLENECK, 8, 2), folder, "x")
    assert load_adapter(folder).name == "x"
    bank = AdapterBank(8, 2)
    bank.add("x", folder)
    assert bank.config("x") == BOTTLENECK
