"""An export is not left where it does not give what the original gives."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from polyglance.cli.model import export_compared
from polyglance.errors import ConfigurationError, DataError
from polyglance.evaluation.exported import CALIBRATION, ExportReport
from polyglance.models import BUNDLED
from tests.checkpoints import pictures, tiny_clip, tiny_naflex

GOOD = ExportReport("fast", "0" * 16, "en", 1000, 0.98, 0.99, 40.0, 39.2, 30.0, 15.0, False)


def with_queries_far_off(folder: Path) -> Path:
    """In one channel, where keys are 0: products stay as they were, and 8 bits for all channels are spent on this."""
    from transformers import CLIPModel

    network = CLIPModel.from_pretrained(tiny_clip(folder))
    with torch.no_grad():
        for layer in network.vision_model.encoder.layers:
            layer.self_attn.q_proj.weight *= 5
            layer.self_attn.q_proj.bias[0] = 1e4
            layer.self_attn.k_proj.weight[0] = 0
            layer.self_attn.k_proj.bias[0] = 0
    network.save_pretrained(folder)
    return folder


def test_an_export_that_reads_otherwise_is_not_left(tmp_path: Path) -> None:
    """What one that is left is like: `tests/journeys/test_export.py`."""
    with_queries_far_off(tmp_path / "clip")
    own = pictures(tmp_path / "pictures", [(40, 30)] * 6)[0].parent
    (own / "torn.png").write_bytes(b"no picture")
    stages: dict[str, tuple[int, int]] = {}
    done = export_compared(
        str(tmp_path / "clip"),
        tmp_path / "new" / "fast",
        own,
        scenes=40,
        report=lambda stage, done, total, figures: stages.update({stage: (done, total)}),
    )
    assert done.least_cosine < 0.95
    assert f"got {done.least_cosine:.3f} at the least" in done.refusal
    assert [*(tmp_path / "new").iterdir()] == []
    assert 42 <= done.pictures <= 43, "of seven files three are compared on, and one of the seven is torn"
    assert stages["calibration"][0] == stages["calibration"][1] >= 2 * (CALIBRATION + 3)
    assert stages["pictures"] == (done.pictures, 43)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({}, ""),
        ({"recall_int8": 39.0}, ""),
        ({"recall_int8": 41.0, "least_cosine": 0.95}, ""),
        ({"recall_int8": 38.9}, "38.9 % for 40.0 %"),
        ({"least_cosine": 0.949}, "got 0.949 at the least"),
        ({"least_cosine": float("nan")}, "got nan"),
    ],
    ids=str,
)
def test_what_is_refused(figures: dict[str, Any], said: str) -> None:
    refusal = replace(GOOD, **figures).refusal
    assert said in refusal
    assert bool(refusal) == bool(said)
    assert "\n" not in refusal


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    tiny_clip(tmp_path / "clip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match=rf"two towers, such as CLIP or a composed one, .* got {BUNDLED}"):
        export_compared(BUNDLED, tmp_path / "fast")
    with pytest.raises(ConfigurationError, match=r"pictures of one size, got naflex"):
        export_compared(str(tiny_naflex(tmp_path / "naflex")), tmp_path / "fast")
    with pytest.raises(ConfigurationError, match="a new or an empty folder"):
        export_compared(str(tmp_path / "clip"), tmp_path / "clip")
    with pytest.raises(DataError, match=r"expected pictures in .*empty"):
        export_compared(str(tmp_path / "clip"), tmp_path / "fast", tmp_path / "empty")
    assert not (tmp_path / "fast").exists()
