"""EfficientNet-Lite: sizes as published, names as timm's, padding as TensorFlow's."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from polyglance.nn.efficientnet import SCALES, EfficientNetLite

PUBLISHED = {0: 4.7, 1: 5.4, 2: 6.1, 3: 8.2, 4: 13.0}
"""Millions of parameters of each size, as its authors give them."""


def pixels(*shape: int) -> Tensor:
    return torch.randint(256, (*shape,), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", PUBLISHED)
def test_sizes_are_those_published(size: int) -> None:
    with torch.device("meta"):
        model = EfficientNetLite(*SCALES[f"tf_efficientnet_lite{size}"])
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 1) == PUBLISHED[size]


def test_weights_have_the_names_of_timm() -> None:
    with torch.device("meta"):
        model = EfficientNetLite(*SCALES["tf_efficientnet_lite2"])
    names = [name for name, _ in model.named_parameters()]
    assert [len(stage) for stage in model.blocks] == [1, 3, 3, 4, 4, 5, 1]
    assert names[:9] == [
        *("conv_stem.weight", "bn1.weight", "bn1.bias"),
        *("blocks.0.0.conv_dw.weight", "blocks.0.0.bn1.weight", "blocks.0.0.bn1.bias"),
        *("blocks.0.0.conv_pw.weight", "blocks.0.0.bn2.weight", "blocks.0.0.bn2.bias"),
    ]
    assert [name.removeprefix("blocks.3.2.") for name in names if name.startswith("blocks.3.2.")] == [
        *("conv_pw.weight", "bn1.weight", "bn1.bias"),
        *("conv_dw.weight", "bn2.weight", "bn2.bias"),
        *("conv_pwl.weight", "bn3.weight", "bn3.bias"),
    ]
    assert names[-5:] == ["conv_head.weight", "bn2.weight", "bn2.bias", "classifier.weight", "classifier.bias"]


@pytest.mark.parametrize(("high", "wide"), [(224, 224), (65, 130), (33, 7)])
def test_a_feature_map_covers_the_picture(high: int, wide: int) -> None:
    model = EfficientNetLite(classes=10).eval()
    with torch.inference_mode():
        features = model(pixels(2, 3, high, wide))
        assert features.shape == (2, 1280, math.ceil(high / 32), math.ceil(wide / 32))
        assert features.min() >= 0
        assert features.max() <= 6
        logits = model.logits(features)
        torch.testing.assert_close(logits, F.linear(features.flatten(2).mean(2), *model.classifier.parameters()))


@pytest.mark.parametrize("side", [8, 9])
def test_padding_is_tensorflows(side: int) -> None:
    """With kernel 3 and stride 2, an even side is padded behind alone, an odd one on both sides."""
    model = EfficientNetLite(classes=1)
    x = torch.rand(1, 3, side, side)
    before = 0 if side % 2 == 0 else 1
    padded = F.pad(x, (before, 1, before, 1))
    torch.testing.assert_close(model.conv_stem(x), F.conv2d(padded, model.conv_stem.weight, stride=2))


@torch.no_grad()
def test_folded_norms_change_nothing() -> None:
    torch.manual_seed(0)
    model = EfficientNetLite(classes=5).eval()
    for norm in (module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        for value in (norm.weight, norm.running_var):
            value.uniform_(0.5, 1.5)
        for value in (norm.bias, norm.running_mean):
            value.normal_(std=0.1)
    picture = pixels(1, 3, 64, 48)
    before = model(picture)
    model.fold_norms()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    torch.testing.assert_close(model(picture), before, atol=1e-4, rtol=1e-4)


def test_a_model_without_norms_takes_folded_weights() -> None:
    folded, dropped = EfficientNetLite(classes=5), EfficientNetLite(classes=5)
    folded.fold_norms()
    dropped.drop_norms()
    dropped.load_state_dict(folded.state_dict())
    picture = pixels(1, 3, 64, 48)
    torch.testing.assert_close(dropped.eval()(picture), folded.eval()(picture))
