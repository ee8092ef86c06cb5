"""The models of the experiment, which all start from the bundled model's body with frozen lower layers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.retrieval.settings import Settings
from experiments.retrieval.world import World
from polyglance.data.captions import Caption
from polyglance.models import load_model
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.single_stream import SingleStreamConfig, SingleStreamModel
from polyglance.training.retrieval.objectives import SHARPNESS, RetrievalSettings
from polyglance.training.retrieval.trainer import train_retrieval
from polyglance.types import StageProgress

HEADS = ("embed_head", "whole_head", "match_head")
Training = Literal["twin", "cross", "joint", "joint-random"]
"""The loss of the twin encoder, that of the cross-encoder, or both. The negatives of the cross-encoder are drawn by the
twin encoder's similarity in `joint`, and at random in `cross`, which has no twin encoder, and in `joint-random`."""


def bundled() -> SingleStreamModel:
    model = load_model()
    assert isinstance(model, SingleStreamModel)
    return model


def beginning(seed: int, **shape: Any) -> SingleStreamModel:
    """Returns the bundled model in float32, without its task adapters and with new heads of twin and cross-encoder.

    shape: the fields of the config that differ from the bundled model's. If states are stored in another form, the
    weights are adapted to it (`_restored`); if the cut is another, layers move across it (`_recut`).
    """
    pretrained = bundled().float()
    alone = replace(pretrained.config, task_adapters=None, recall_by_depth=())
    new = SingleStreamConfig
    of_heads = {"temperature": new.temperature, "calibration": new.calibration, "cosine_weight": new.cosine_weight}
    config = replace(alone, **of_heads, **shape)
    torch.manual_seed(seed)
    model = SingleStreamModel(config, pretrained.tokenizer, "beginning")
    weights = _recut(pretrained.state_dict(), pretrained.config.first_joint_layer, config.first_joint_layer)
    if shape.keys() - {"first_joint_layer"}:
        weights |= _restored(weights, pretrained.config, config)
    known = model.state_dict()
    model.load_state_dict(
        {name: value for name, value in weights.items() if name in known and not name.startswith(HEADS)}, strict=False
    )
    model.fingerprint = f"{pretrained.fingerprint} {seed} {sorted(shape.items())}"
    return model.eval()


def _restored(weights: Mapping[str, Tensor], old: SingleStreamConfig, new: SingleStreamConfig) -> dict[str, Tensor]:
    """Returns the weights that compress and expand states, as close to the old ones as the new form allows.

    The projection of four concatenated tokens becomes one of their mean: the sum of its four parts. Positions are
    interpolated. A smaller width keeps the directions that contribute most to the expanded states; a larger one starts
    with unused values. Learned queries start anew. The vectors of classes, of which the state of a whole picture is
    made, take the same directions.
    """
    project, bias = weights["compressor.project.weight"], weights["compressor.project.bias"]
    gain, shift = weights["compressor.norm.weight"], weights["compressor.norm.bias"]
    expand = weights["expand_image.weight"]
    if not (new.compression == "merge" and new.kept_grid == old.kept_grid):
        project = project.unflatten(1, (-1, old.width)).sum(dim=1)
    there = min(old.state_width, new.state_width)
    directions = torch.linalg.svd(expand * gain).Vh[:there] if there < old.state_width else torch.eye(there)
    unused = new.state_width - there
    of_grid, of_whole = weights["kept_position"].split([old.kept_grid**2, 1])
    size = (new.kept_grid, new.kept_grid)
    grid = of_grid.T.unflatten(1, (old.kept_grid, old.kept_grid))[None]
    of_grid = F.interpolate(grid, size, mode="bilinear", antialias=True).flatten(2)[0].T
    classes = weights["eyes.class_vectors"] / gain  # unlike the other states, that of the whole picture had no gain
    return {
        "eyes.class_vectors": F.pad(classes @ directions.T, (0, unused)),
        "compressor.project.weight": F.pad(directions @ project, (0, 0, 0, unused)),
        "compressor.project.bias": F.pad(directions @ bias, (0, unused)),
        "compressor.norm.weight": torch.ones(new.state_width),
        "compressor.norm.bias": torch.zeros(new.state_width),
        "expand_image.weight": F.pad((expand * gain) @ directions.T, (0, unused)),
        "expand_image.bias": weights["expand_image.bias"] + expand @ shift,
        "kept_position": torch.cat([of_grid, of_whole - expand @ shift]),
    }


def _recut(weights: dict[str, Tensor], cut: int, moved: int) -> dict[str, Tensor]:
    """Returns the weights of a model with as many layers and another cut. A joint layer that moves below the cut is
    copied for each modality; of the layers that move above it, those of pictures become joint layers."""
    found = {}
    for name, value in weights.items():
        side, _, rest = name.partition(".layers.")
        if side not in ("text_layers", "image_layers", "joint_layers"):
            found[name] = value
            continue
        number, _, rest = rest.partition(".")
        layer = int(number) + (cut if side == "joint_layers" else 0)
        if layer >= moved and side != "text_layers":
            found[f"joint_layers.layers.{layer - moved}.{rest}"] = value
        elif layer < moved:
            sides = ("text_layers", "image_layers") if side == "joint_layers" else (side,)
            found |= {f"{one}.layers.{layer}.{rest}": value for one in sides}
    return found


def trained(world: World, training: Training, seed: int, report: StageProgress) -> SingleStreamModel:
    """Returns a trained model in the processor's native precision, from the run's folder if it is there."""
    settings = retrieval_settings(world.settings, training, seed)
    return _trained(world, f"{training}-{seed}", beginning(seed), settings, report)


def retrieval_settings(settings: Settings, training: Training, seed: int) -> RetrievalSettings:
    return RetrievalSettings(
        mode="joint" if training == "joint-random" else training,
        sharpness=0.0 if training == "joint-random" else SHARPNESS,
        freeze_lower=True,
        epochs=settings.epochs,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        seed=seed,
    )


def _trained(
    world: World,
    name: str,
    model: SingleStreamModel,
    settings: RetrievalSettings,
    report: StageProgress,
    captions: tuple[Caption, ...] = (),
) -> SingleStreamModel:
    folder = world.folder / "models" / name
    if not (folder / "config.json").exists():
        kept = world.seen("train", bundled(), report) if settings.freeze_lower else None
        captions = captions or world.captions
        model, _ = train_retrieval(model, captions, folder / "training", settings, report=report, kept=kept)
        model.name = name
        save_model(model, folder)
    return load_folder(folder)


def trained_to_store(world: World, name: str, shape: dict[str, object], report: StageProgress) -> SingleStreamModel:
    """Returns a model trained with both losses on fewer pictures; with another cut, all weights are trained, from
    pixels."""
    recut = "first_joint_layer" in shape
    settings = replace(retrieval_settings(world.settings, "joint", 0), freeze_lower=not recut)
    captions = world.drawn_captions() if recut else world.captions[: 2 * world.settings.sweep_scenes]
    return _trained(world, f"states-{name}", beginning(0, **shape), settings, report, captions)
