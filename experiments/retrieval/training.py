"""The models of the experiment, which all start from the bundled model's body with frozen lower layers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.retrieval.settings import Settings
from experiments.retrieval.world import World
from polyglance.data.captions import Caption
from polyglance.models import load_model
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.single_stream import SingleStreamConfig, SingleStreamModel
from polyglance.training.retrieval.objectives import Mode, RetrievalSettings
from polyglance.training.retrieval.trainer import train_retrieval
from polyglance.types import StageProgress

HEADS = ("embed_head", "match_head")


def bundled() -> SingleStreamModel:
    model = load_model("scenes-mini")
    assert isinstance(model, SingleStreamModel)
    return model


def beginning(seed: int, **shape: Any) -> SingleStreamModel:
    """The bundled model without its task adapters, in float32, with new heads of the twin and of the cross-encoder.

    shape: of the model's config, what is not as in the bundled one. Where states are stored in another form, it takes
    over what that form allows (`_restored`); where the cut is another, layers move to its other side (`_recut`).
    """
    pretrained = bundled().float()
    alone = replace(pretrained.config, task_adapters=None, recall_by_depth=())
    config = replace(alone, temperature=SingleStreamConfig.temperature, **shape)
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
    """The compressor and what expands its states, as near to the old ones as another form can be.

    The projection of four tokens side by side becomes one of their mean, the sum of its four parts; positions are
    interpolated; fewer values are those directions of the old ones that count most when they are expanded, and more
    values begin unused. The queries themselves begin anew.
    """
    project, bias = weights["compressor.project.weight"], weights["compressor.project.bias"]
    gain, shift = weights["compressor.norm.weight"], weights["compressor.norm.bias"]
    expand = weights["expand_image.weight"]
    if not (new.compression == "merge" and new.kept_grid == old.kept_grid):
        project = project.unflatten(1, (-1, old.width)).sum(dim=1)
    there = min(old.state_width, new.state_width)
    directions = torch.linalg.svd(expand * gain).Vh[:there] if there < old.state_width else torch.eye(there)
    unused = new.state_width - there
    grid = weights["kept_position"].T.unflatten(1, (old.kept_grid, old.kept_grid))[None]
    size = (new.kept_grid, new.kept_grid)
    position = F.interpolate(grid, size, mode="bilinear", antialias=True).flatten(2)[0].T
    return {
        "compressor.project.weight": F.pad(directions @ project, (0, 0, 0, unused)),
        "compressor.project.bias": F.pad(directions @ bias, (0, unused)),
        "compressor.norm.weight": torch.ones(new.state_width),
        "compressor.norm.bias": torch.zeros(new.state_width),
        "expand_image.weight": F.pad((expand * gain) @ directions.T, (0, unused)),
        "expand_image.bias": weights["expand_image.bias"] + expand @ shift,
        "kept_position": position.contiguous(),
    }


def _recut(weights: dict[str, Tensor], cut: int, moved: int) -> dict[str, Tensor]:
    """The weights of a model of as many layers that is cut elsewhere: a joint layer that comes below the cut serves
    each modality, and of the layers that come above it those of pictures serve both."""
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


def trained(world: World, mode: Mode, seed: int, report: StageProgress) -> SingleStreamModel:
    """Ready to use, in the processor's own precision; from the folder of the run, where it was trained already."""
    settings = world.settings
    return _trained(world, f"{mode}-{seed}", beginning(seed), retrieval_settings(settings, mode, seed), report)


def retrieval_settings(settings: Settings, mode: Mode, seed: int) -> RetrievalSettings:
    return RetrievalSettings(
        mode=mode,
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
    """Trained both ways, on fewer pictures; where the cut is another, in all weights and from the pixels."""
    recut = "first_joint_layer" in shape
    settings = replace(retrieval_settings(world.settings, "joint", 0), freeze_lower=not recut)
    captions = world.drawn_captions() if recut else world.captions[: 2 * world.settings.sweep_scenes]
    return _trained(world, f"states-{name}", beginning(0, **shape), settings, report, captions)
