"""The models of the experiment: all begin with the body of the bundled model, its lower layers frozen."""

from dataclasses import replace

import torch

from experiments.retrieval.settings import Settings
from experiments.retrieval.world import World
from polyglance.models import load_model
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.single_stream import SingleStreamConfig, SingleStreamModel
from polyglance.training.loop import Report
from polyglance.training.retrieval import train_retrieval
from polyglance.training.retrieval_losses import Mode, RetrievalSettings

HEADS = ("embed_head", "match_head")


def bundled() -> SingleStreamModel:
    model = load_model("scenes-mini")
    assert isinstance(model, SingleStreamModel)
    return model


def beginning(seed: int, **shape: object) -> SingleStreamModel:
    """The bundled model without its task adapters, in float32, with new heads of the twin and of the cross-encoder.

    shape: how states are stored, as in the model's config, if not as in the bundled one; all that this gives another
    form begins anew.
    """
    pretrained = bundled().float()
    config = replace(pretrained.config, task_adapters=None, temperature=SingleStreamConfig.temperature, **shape)  # type: ignore[arg-type]
    torch.manual_seed(seed)
    model = SingleStreamModel(config, pretrained.tokenizer, "beginning")
    fresh = model.state_dict()
    anew = HEADS if not shape else (*HEADS, "compressor", "expand_image", "kept_position")
    model.load_state_dict(
        {name: value for name, value in pretrained.state_dict().items() if name in fresh and not name.startswith(anew)},
        strict=False,
    )
    model.fingerprint = f"{pretrained.fingerprint} {seed} {sorted(shape.items())}"
    return model.eval()


def trained(world: World, mode: Mode, seed: int, report: Report) -> SingleStreamModel:
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
    world: World, name: str, model: SingleStreamModel, settings: RetrievalSettings, report: Report
) -> SingleStreamModel:
    folder = world.folder / "models" / name
    if not (folder / "config.json").exists():
        kept = world.seen("train", bundled(), report)
        model, _ = train_retrieval(model, world.captions, folder / "training", settings, report=report, kept=kept)
        model.name = name
        save_model(model, folder)
    return load_folder(folder)


def trained_to_store(world: World, shape: dict[str, object], name: str, report: Report) -> SingleStreamModel:
    """Trained both ways for as long as each way of storing states is."""
    settings = replace(retrieval_settings(world.settings, "joint", 0), epochs=world.settings.sweep_epochs)
    return _trained(world, f"states-{name}", beginning(0, **shape), settings, report)
