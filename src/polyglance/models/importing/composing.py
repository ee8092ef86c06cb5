"""Composes a model of an image network and a text encoder that were published apart."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from polyglance.errors import CheckpointError
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.composed import IMAGES, TEXTS, ComposedModel, Pooling
from polyglance.models.huggingface.components import copy_files
from polyglance.models.huggingface.download import checkpoint_folder, read_json
from polyglance.models.importing.conversion import require_empty
from polyglance.types import Progress, Task

_POOLING: Final = "1_Pooling"
_PROMPTS: Final = "config_sentence_transformers.json"
"""Files with which sentence-transformers says how a text encoder makes vectors."""


@dataclass(frozen=True)
class CompositionReport:
    """What a composition made.

    tasks: those that the model can do without training: `embed` if the image network has a classifier of named classes,
    else none. classes: their number. grid: the number of image tokens per side, before compression. kept_grid: after
    it. joint_layers: the upper layers of the text encoder that joint layers begin as. adapts_images: whether adapters
    can act in the image network.
    """

    name: str
    fingerprint: str
    tasks: tuple[Task, ...]
    languages: tuple[str, ...]
    embedding_dim: int
    classes: int
    grid: int
    kept_grid: int
    joint_layers: int
    pooling: Pooling
    text_prefix: str
    adapts_images: bool


def compose(
    images: str,
    texts: str,
    output: Path,
    joint_layers: int | None = None,
    kept_grid: int | None = None,
    languages: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> CompositionReport:
    """Writes a model composed of two networks to a folder.

    How the text encoder makes vectors is taken from the files of sentence-transformers beside it, if there are any;
    else the vector is the mean of the tokens.

    Args:
        images: a vision network of transformers or timm, as its folder or its name on the hub.
        texts: a text encoder of the BERT or RoBERTa families, likewise.
        output: the folder to write, which must be empty or missing.
        joint_layers: the number of joint layers; None means half of the text encoder's layers, at most 4.
        kept_grid: the number of image tokens per side that are kept at the cut; None means at most 4.
        languages: the codes of the languages that the text encoder reads. If empty, English for a small vocabulary, and
            all that polyglance knows for a large one.
        progress: called with the number of the classes' names that are read and the number of all names.

    Raises:
        ConfigurationError: there is no such checkpoint, the output is not empty, a number does not fit, or timm is not
            installed.
        CheckpointError: a network is of an unknown kind, or its files are missing, torn, or do not fit each other.
    """
    require_empty(output)
    of_images, of_texts = checkpoint_folder(images), checkpoint_folder(texts)
    pooling, prefix = _pooling(of_texts), _prefix(of_texts)
    shape: dict[str, Any] = {"pooling": pooling, "text_prefix": prefix}
    if kept_grid is not None:
        shape["kept_grid"] = kept_grid
    if languages:
        shape["languages"] = languages
    output.resolve().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.resolve().parent, prefix=".compose-") as beside:
        copy_files(of_images, Path(beside) / IMAGES)
        copy_files(of_texts, Path(beside) / TEXTS)
        made = ComposedModel.from_networks(
            Path(beside), output.resolve().name, torch.float32, joint_layers, progress, **shape
        )
        save_model(made, output)
    model = load_folder(output)
    assert isinstance(model, ComposedModel)
    return CompositionReport(
        name=model.name,
        fingerprint=model.fingerprint,
        tasks=model.tasks,
        languages=model.languages,
        embedding_dim=model.embedding_dim,
        classes=model.config.classes,
        grid=model.tower.grid,
        kept_grid=model.config.kept_grid,
        joint_layers=model.config.layers,
        pooling=pooling,
        text_prefix=prefix,
        adapts_images="image" in model.tower.layers,
    )


def _pooling(folder: Path) -> Pooling:
    """Raises CheckpointError if the vector of a text is made in another way than `Pooling` names."""
    if not (folder / _POOLING / "config.json").exists():
        return "mean"
    settings = read_json(folder / _POOLING, "config.json")
    modes = [name for name, value in settings.items() if name.startswith("pooling_mode_") and value is True]
    match modes or [f"pooling_mode_{settings.get('pooling_mode', 'mean')}"]:
        case ["pooling_mode_mean_tokens" | "pooling_mode_mean"]:
            return "mean"
        case ["pooling_mode_cls_token" | "pooling_mode_cls"]:
            return "cls"
    raise CheckpointError(
        f"expected a text encoder whose vectors are the mean or the first of its tokens, got {', '.join(modes)}"
    )


def _prefix(folder: Path) -> str:
    """Returns the prompt with which sentence-transformers reads a query; empty if there is none."""
    prompts = read_json(folder, _PROMPTS).get("prompts") if (folder / _PROMPTS).exists() else None
    found = prompts.get("query") if isinstance(prompts, dict) else None
    return found if isinstance(found, str) else ""
