"""Image networks of transformers and timm as backbones."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models.families.backbones import load_backbone
from polyglance.nn.efficientnet import EfficientNetLite
from tests.backbone_checkpoints import BACKBONES, CLASSES, efficientnet_lite, vit

EXACT = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))


@pytest.mark.parametrize("name", BACKBONES)
def test_its_classifier_reads_what_the_network_gives_it(name: str, tmp_path: Path, image: Image.Image) -> None:
    network = BACKBONES[name](tmp_path / "network", True)
    backbone = load_backbone(tmp_path / "network", torch.float32)
    values = backbone.pixels.normalised(torch.from_numpy(backbone.pixels.fit(image))[None], torch.float32)
    assert backbone.head is not None
    with torch.inference_mode():
        tokens = backbone(values)
        own = backbone.head(backbone.summary(tokens))
        lite = isinstance(network, EfficientNetLite)
        expected = network.logits(network.features(values)) if lite else network(values).logits
    assert tokens.shape == (1, backbone.first + backbone.grid**2, backbone.width)
    assert_close(own, expected, **EXACT)
    assert backbone.class_names == CLASSES


@pytest.mark.parametrize("name", [name for name in BACKBONES if name != "efficientnet-lite"])
def test_a_network_without_a_classifier_has_no_class_names(name: str, tmp_path: Path) -> None:
    BACKBONES[name](tmp_path / "network", False)
    backbone = load_backbone(tmp_path / "network", torch.float32)
    assert backbone.head is None
    assert backbone.class_names == ()


def test_a_classifier_of_unnamed_classes_is_not_used(tmp_path: Path) -> None:
    efficientnet_lite(tmp_path / "network", classes=False)
    assert load_backbone(tmp_path / "network", torch.float32).class_names == ()


def test_another_kind_of_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(CheckpointError, match=r"no image network that can be composed: expected vit, .* got 'llama'"):
        load_backbone(tmp_path, torch.float32)


def test_pictures_of_several_sizes_are_refused(tmp_path: Path) -> None:
    from transformers import ViTImageProcessorPil

    vit(tmp_path)
    ViTImageProcessorPil(size={"shortest_edge": 32}).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="expected a preprocessor that makes square pictures of one size, got"):
        load_backbone(tmp_path, torch.float32)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    efficientnet_lite(tmp_path / "network")
    path = tmp_path / "network" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_classes": 7}))
    with pytest.raises(CheckpointError, match="the weights do not fit tf_efficientnet_lite0: size mismatch"):
        load_backbone(tmp_path / "network", torch.float32)


def test_a_description_without_sizes_is_refused(tmp_path: Path) -> None:
    efficientnet_lite(tmp_path / "network")
    path = tmp_path / "network" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pretrained_cfg": {}}))
    with pytest.raises(CheckpointError, match="expected input_size, mean and std in its pretrained_cfg"):
        load_backbone(tmp_path / "network", torch.float32)


def test_another_crop_than_was_trained_is_refused(tmp_path: Path) -> None:
    efficientnet_lite(tmp_path / "network")
    path = tmp_path / "network" / "config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({**settings, "pretrained_cfg": {**settings["pretrained_cfg"], "crop_mode": "squash"}}))
    with pytest.raises(CheckpointError, match="expected crop_mode center, got 'squash'"):
        load_backbone(tmp_path / "network", torch.float32)


def test_timm_is_asked_for_where_it_is_needed(tmp_path: Path) -> None:
    efficientnet_lite(tmp_path / "network")
    path = tmp_path / "network" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "architecture": "resnet18"}))
    with pytest.raises(ConfigurationError, match=r"resnet18 is a network of timm, .* pip install 'polyglance\[timm\]'"):
        load_backbone(tmp_path / "network", torch.float32)
