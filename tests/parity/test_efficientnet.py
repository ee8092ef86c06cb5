"""EfficientNet-Lite gives what the package `efficientnet-lite-pytorch` gives, with its weights renamed, to 1e-5."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from experiments.weights.efficientnet import timm_names
from polyglance.nn.efficientnet import SCALES, EfficientNetLite


@pytest.mark.parametrize("size", [0, 2])
def test_features_and_logits_are_equal(peers: Path, size: int) -> None:
    folder = peers / f"efficientnet-lite{size}"
    weights, case = load_file(folder / "weights.safetensors"), load_file(folder / "case.safetensors")
    model = EfficientNetLite(*SCALES[f"tf_efficientnet_lite{size}"], classes=10).eval()
    model.load_state_dict(timm_names(weights, model))
    with torch.inference_mode():
        features = model(case["pixels"])
        assert_close(features, case["features"], atol=1e-5, rtol=1e-5)
        assert_close(model.logits(features), case["logits"], atol=1e-5, rtol=1e-5)
    assert (case["logits"][0] - case["logits"][1]).abs().max() > 0.01, "a case in which the picture matters"
