"""A checkpoint that is used as it is published, and whose weights do not fit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models import load_model
from polyglance.models.importing.conversion import import_checkpoint
from tests.blip_checkpoints import tiny_blip
from tests.checkpoints import tiny_clip

LOST = {"clip": "visual_projection.weight", "blip": "itm_head.bias"}
RESHAPED = {"clip": "text_projection.weight", "blip": "text_proj.weight"}


@pytest.mark.parametrize(("kind", "write"), [("clip", tiny_clip), ("blip", tiny_blip)])
def test_what_fits_is_written_anew_when_asked_for(kind: str, write: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = write(tmp_path / "theirs")
    whole = load_file(folder / "model.safetensors")
    weights = {name: value for name, value in whole.items() if name != LOST[kind]} | {"spare.weight": torch.ones(2)}
    save_file(weights | {RESHAPED[kind]: torch.ones(3, 3)}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        CheckpointError, match=r"1 missing .*1 left over .*1 of another shape .*--allow-mismatch"
    ) as told:
        load_model(str(folder))
    assert "\n" not in str(told.value)
    report = import_checkpoint(str(folder), tmp_path / "ours", allow_mismatch=True)
    assert (report.kind, report.missing, report.left_over) == (kind, (LOST[kind], RESHAPED[kind]), ("spare.weight",))
    model = load_model(str(tmp_path / "ours"))
    assert (model.fingerprint, model.tasks) == (report.fingerprint, report.tasks)
    kept = load_file(tmp_path / "ours" / "model.safetensors")
    assert kept.keys() == whole.keys()
    assert {name for name, value in whole.items() if not torch.equal(value, kept[name])} == {LOST[kind], RESHAPED[kind]}
    again = import_checkpoint(str(folder), tmp_path / "again", allow_mismatch=True)
    assert again.fingerprint == report.fingerprint, "what is missing is drawn the same each time"


@pytest.mark.parametrize("more", [{}, {"allow_mismatch": True, "kept_grid": 2}, {"languages": ["de"]}], ids=str)
def test_what_is_used_as_it_is_needs_no_import(tmp_path: Path, more: dict) -> None:
    with pytest.raises(ConfigurationError, match="is a clip, which is used as it is published: name it as --model"):
        import_checkpoint(str(tiny_clip(tmp_path / "clip")), tmp_path / "ours", **more)
    assert not (tmp_path / "ours").exists()
