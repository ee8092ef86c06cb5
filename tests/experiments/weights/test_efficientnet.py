import io
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from experiments.weights.efficientnet import class_names, timm_names, write_efficientnet
from polyglance.errors import CheckpointError
from polyglance.nn.efficientnet import SCALES, EfficientNetLite

CLASSES = ["tench", "goldfish", "a cock, a hen"]
NAME = "tf_efficientnet_lite0"
_OUTSIDE = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
_FIRST = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
_OTHERS = {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
}


def model() -> EfficientNetLite:
    return EfficientNetLite(*SCALES[NAME], classes=len(CLASSES))


def their_weights() -> dict[str, torch.Tensor]:
    """Random ones, by the names of `efficientnet-lite-pytorch`."""
    torch.manual_seed(0)
    found, seen = {}, {}
    for name, value in model().state_dict().items():
        outside, *inside = name.split(".")
        if outside == "blocks":
            stage, block, part, kind = inside
            number = seen.setdefault((stage, block), len(seen))
            theirs = f"_blocks.{number}.{(_OTHERS if int(stage) else _FIRST)[part]}.{kind}"
        else:
            theirs = f"{_OUTSIDE[outside]}.{inside[0]}"
        found[theirs] = torch.rand(value.shape) if value.is_floating_point() else value
    return found


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_a_folder_is_what_timm_has_on_the_hub(tmp_path: Path) -> None:
    theirs = their_weights()
    write_efficientnet(saved(theirs), CLASSES, NAME, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    model().load_state_dict(weights, strict=True)
    assert len(weights) == len(theirs)
    for ours, name in {
        "conv_stem.weight": "_conv_stem.weight",
        "bn2.running_var": "_bn1.running_var",
        "blocks.0.0.conv_pw.weight": "_blocks.0._project_conv.weight",
        "blocks.1.1.conv_pw.weight": "_blocks.2._expand_conv.weight",
        "blocks.6.0.bn3.bias": "_blocks.15._bn2.bias",
        "classifier.bias": "_fc.bias",
    }.items():
        assert torch.equal(weights[ours], theirs[name]), ours
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["architecture"], config["num_classes"], config["label_names"]) == (NAME, 3, CLASSES)
    assert config["pretrained_cfg"]["input_size"] == [3, 224, 224]


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    hostile = {**their_weights(), "x": Hostile(tmp_path / "touched")}
    buffer = io.BytesIO()
    pickle.dump(hostile["x"], buffer, protocol=2)
    for checkpoint in (saved(hostile), buffer.getvalue(), saved(their_weights())[:5000], b""):
        with pytest.raises(CheckpointError, match=f"expected tensors alone in the checkpoint of {NAME}"):
            write_efficientnet(checkpoint, CLASSES, NAME, tmp_path)
    assert not list(tmp_path.iterdir())


def test_weights_of_another_shape_or_name_are_refused(tmp_path: Path) -> None:
    theirs = their_weights()
    for changed, reason in (
        ({**theirs, "_blocks.16._bn1.bias": torch.zeros(1)}, r"got '_blocks\.16\._bn1\.bias' among them"),
        ({**theirs, "_blocks.0._expand_conv.weight": torch.zeros(1)}, "got '_blocks.0._expand_conv.weight'"),
        ({**theirs, "_swish.weight": torch.zeros(1)}, "got '_swish.weight' among them"),
        ({**theirs, "_fc.bias": torch.zeros(1)}, "does not fit"),
        ({name: value for name, value in theirs.items() if name != "_fc.bias"}, "does not fit"),
    ):
        with pytest.raises(CheckpointError, match=reason):
            write_efficientnet(saved(changed), CLASSES, NAME, tmp_path)
    assert not list(tmp_path.iterdir())


def test_names_are_renamed_one_by_one() -> None:
    theirs = their_weights()
    assert timm_names(theirs, model()).keys() == model().state_dict().keys()


def test_classes_have_wordnets_words() -> None:
    lemmas = "n01\ttench, Tinca tinca\nn02\tgoldfish\nn03\tshark\n"
    assert class_names("n02\nn01\n", lemmas) == ["goldfish", "tench, Tinca tinca"]
    with pytest.raises(CheckpointError, match="none for 'n04'"):
        class_names("n02\nn04\n", lemmas)
