"""Tiny random image networks as they lie on the hub, and models composed of them and a tiny BERT."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from polyglance.models.importing.composing import compose
from tests.checkpoints import IMAGE_SIZE, PATCH
from tests.single_stream_checkpoints import drawn, telling_bert

CLASSES = ("red star", "white plate, plate", "a star on a plate")
_PLAIN = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": IMAGE_SIZE,
    "patch_size": PATCH,
}
_STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "patch_size": 2}


def vit(folder: Path, classes: bool = True) -> Any:
    from transformers import ViTConfig, ViTForImageClassification, ViTModel

    config = ViTConfig(**_PLAIN, **_named(classes))
    return _saved(folder, ViTForImageClassification(config) if classes else ViTModel(config), "ViTImageProcessorPil")


def dinov2(folder: Path, classes: bool = True) -> Any:
    from transformers import Dinov2Config, Dinov2ForImageClassification, Dinov2Model

    config = Dinov2Config(**_PLAIN, mlp_ratio=2, **_named(classes))
    network = Dinov2ForImageClassification(config) if classes else Dinov2Model(config)
    return _saved(folder, network, "BitImageProcessorPil")


def dinov2_with_registers(folder: Path, classes: bool = True) -> Any:
    from transformers import (
        Dinov2WithRegistersConfig,
        Dinov2WithRegistersForImageClassification,
        Dinov2WithRegistersModel,
    )

    config = Dinov2WithRegistersConfig(**_PLAIN, mlp_ratio=2, num_register_tokens=3, **_named(classes))
    network = Dinov2WithRegistersForImageClassification(config) if classes else Dinov2WithRegistersModel(config)
    return _saved(folder, network, "BitImageProcessorPil")


def convnext(folder: Path, classes: bool = True) -> Any:
    from transformers import ConvNextConfig, ConvNextForImageClassification, ConvNextModel

    config = ConvNextConfig(**_STAGES, **_named(classes))
    network = ConvNextForImageClassification(config) if classes else ConvNextModel(config)
    return _saved(folder, network, "ViTImageProcessorPil")


def convnextv2(folder: Path, classes: bool = True) -> Any:
    from transformers import ConvNextV2Config, ConvNextV2ForImageClassification, ConvNextV2Model

    config = ConvNextV2Config(**_STAGES, **_named(classes))
    network = ConvNextV2ForImageClassification(config) if classes else ConvNextV2Model(config)
    return _saved(folder, network, "ViTImageProcessorPil")


def swin(folder: Path, classes: bool = True) -> Any:
    from transformers import SwinConfig, SwinForImageClassification, SwinModel

    shape = {"image_size": IMAGE_SIZE, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2]}
    config = SwinConfig(**shape, window_size=4, **_named(classes))
    return _saved(folder, SwinForImageClassification(config) if classes else SwinModel(config), "ViTImageProcessorPil")


def efficientnet_lite(folder: Path, classes: bool = True) -> Any:
    """A folder as timm writes it, of the smallest EfficientNet-Lite."""
    from polyglance.nn.efficientnet import EfficientNetLite

    torch.manual_seed(0)
    network = EfficientNetLite(classes=len(CLASSES)).eval()
    settings = {
        "architecture": "tf_efficientnet_lite0",
        "num_classes": len(CLASSES),
        "pretrained_cfg": {
            "input_size": [3, 2 * IMAGE_SIZE, 2 * IMAGE_SIZE],
            "crop_pct": 0.875,
            "interpolation": "bicubic",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
        },
        **({"label_names": list(CLASSES)} if classes else {}),
    }
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    save_file(network.state_dict(), folder / "model.safetensors")
    return network


BACKBONES: dict[str, Callable[[Path, bool], Any]] = {
    "vit": vit,
    "dinov2": dinov2,
    "dinov2 with registers": dinov2_with_registers,
    "convnext": convnext,
    "convnextv2": convnextv2,
    "swin": swin,
    "efficientnet-lite": efficientnet_lite,
}


def composed(folder: Path, images: Callable[[Path, bool], Any] = vit, classes: bool = True) -> Path:
    """The two networks lie beside the folder, in `FOLDER-images` and `FOLDER-texts`."""
    of_images, of_texts = (folder.with_name(f"{folder.name}-{name}") for name in ("images", "texts"))
    images(of_images, classes)
    telling_bert(of_texts)
    compose(str(of_images), str(of_texts), folder)
    return folder


def _named(classes: bool) -> dict[str, Any]:
    if not classes:
        return {}
    return {"id2label": dict(enumerate(CLASSES)), "label2id": {name: row for row, name in enumerate(CLASSES)}}


def _saved(folder: Path, network: Any, processor: str) -> Any:
    import transformers

    settings: dict[str, Any] = {"size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE}}
    if processor == "BitImageProcessorPil":
        settings = {"size": {"shortest_edge": IMAGE_SIZE}, "crop_size": settings["size"]}
    drawn(network).save_pretrained(folder)
    getattr(transformers, processor)(**settings).save_pretrained(folder)
    return network
