"""The families of models, their checkpoints, and the bundled model."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from polyglance.errors import CheckpointError, ConfigurationError, reason_of
from polyglance.models.bundled import BUNDLED, bundled_folder, is_bundled, note_on
from polyglance.models.sources import FOR_PHOTOGRAPHS, FOR_QUESTIONS, SENTENCE_TRANSFORMERS, find_model

if TYPE_CHECKING:
    import torch

    from polyglance.models.families.cut_model import CutModel
    from polyglance.models.families.single_stream import SingleStreamModel
    from polyglance.models.model import Model

__all__ = [
    "BUNDLED",
    "FOR_PHOTOGRAPHS",
    "FOR_QUESTIONS",
    "bundled_folder",
    "find_model",
    "is_bundled",
    "load_model",
    "load_single_stream",
    "load_trainable",
    "note_on",
]


def load_model(
    name: str | os.PathLike[str] = BUNDLED,
    device: "torch.device | str | None" = None,
    dtype: "torch.dtype | None" = None,
) -> "Model":
    """Loads a model, ready to use.

    Args:
        name: one of these.

            - The name of the bundled model, `BUNDLED`, or a former one.
            - The folder of a model that a training wrote, or of an added language, which loads the model that it was
              added to.
            - A published checkpoint, as its folder or its name on the hub, such as `google/siglip2-base-patch16-256`.
              Append `@revision` for a revision other than the newest.
            - `st:NAME`, an embedding model of sentence-transformers.

            A `Path` is always a folder. The name of the bundled model is never a folder; `./NAME` is the folder.
        device: the device of the weights and the results, such as `cuda`; None means the CPU.
        dtype: the dtype of the weights and products; None means bfloat16 if the processor multiplies it faster, else
            float32.

    Raises:
        ConfigurationError: there is no model of this name, the hub cannot be reached, torch cannot use the device
            here, or the dtype is not one of floating point.
        CheckpointError: its files cannot be used, or a language was added to another model.
    """
    import torch

    from polyglance.kernels.processor import native_dtype

    try:
        place = torch.empty(0, device=device or "cpu").device
    except (RuntimeError, AssertionError) as error:
        raise ConfigurationError(
            f"expected a device that torch can use here, got {device}: {reason_of(error)}"
        ) from error
    if dtype not in (None, torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise ConfigurationError(f"expected a floating point dtype such as torch.float32, got {dtype!r}")
    source, added = find_model(name), list[Path]()
    loads_again, precision = source.loads_again, dtype or native_dtype(place)
    if loads_again.startswith(SENTENCE_TRANSFORMERS):
        from polyglance.models.families.sentence_transformers import load_embedder

        return load_embedder(str(name), precision, place)
    from polyglance.models.added_language import FILE, load_facts, load_language
    from polyglance.models.checkpoint import load_folder
    from polyglance.models.families.blip import is_blip, load_blip
    from polyglance.models.families.single_stream import as_single_stream

    while (source.folder / FILE).exists():
        if source.folder in added:
            raise CheckpointError(f"the language in {source.folder} says that it was added to itself: train it again")
        added.append(source.folder)
        source = find_model(load_facts(source.folder)[1].model)
    model: Model
    if is_blip(source.folder):
        model = load_blip(source.folder, source.name, precision, place)
    else:
        model = load_folder(source.folder, precision, source.name).to(place)
    for language in reversed(added):
        code, facts = load_facts(language)
        if model.fingerprint != facts.fingerprint:
            raise CheckpointError(
                f"the language {code!r} in {language} was added to {facts.model} ({facts.fingerprint}), "
                f"which now is another model ({model.fingerprint}): train the language in this one"
            )
        single = as_single_stream(model)
        single.add_language(load_language(language, single.config.width, single.config.first_joint_layer))
        model.name = f"{model.name}+{code}"
    model.source = loads_again
    return model


def load_trainable(name: str | os.PathLike[str]) -> "CutModel":
    """Loads a model as `load_model` does, and requires that this project can train it.

    Raises:
        ConfigurationError: as in `load_model`, or the model does not have joint layers of this project.
    """
    from polyglance.models.families.cut_model import CutModel

    model = load_model(name)
    if not isinstance(model, CutModel):
        raise ConfigurationError(f"expected a model that can be trained here, got {model.name}: it is used as it is")
    return model


def load_single_stream(name: str | os.PathLike[str]) -> "SingleStreamModel":
    """Loads a model as `load_model` does, and requires a single-stream model, which takes added tasks and languages.

    Raises:
        ConfigurationError: as in `load_model`, or the model is not a single-stream model.
    """
    from polyglance.models.families.single_stream import as_single_stream

    return as_single_stream(load_model(name))
