"""The families of models, their checkpoints, and the bundled one."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models.sources import (
    BUNDLED,
    FOR_PHOTOGRAPHS,
    FOR_QUESTIONS,
    SENTENCE_TRANSFORMERS,
    bundled_folder,
    find_model,
    note_on,
)

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
    """Load a model, ready to use.

    Args:
        name: `scenes-mini`, the bundled model; the folder that a training wrote: a model's, or an added language's,
            which loads the model that it was added to; a published checkpoint, by its folder or its name on the hub,
            such as `google/siglip2-base-patch16-256`, with `@revision` behind it for another than the newest; or
            `st:NAME`, an embedding model of sentence-transformers. A `Path` is always a folder, and so is a text with a
            separator in it that names one: `scenes-mini` is the bundled model even where there is such a folder, and
            `./scenes-mini` is the folder.
        device: where its weights are and its results are computed, such as `cuda`; the CPU if None.
        dtype: of its weights and products; if None, bfloat16 where the processor multiplies it natively, else float32.

    Raises:
        ConfigurationError: there is no model of that name, or the hub cannot be reached.
        CheckpointError: its files cannot be used, or a language was added to another model.
    """
    import torch

    from polyglance.kernels.processor import native_dtype

    source, added, place = find_model(name), list[Path](), device or "cpu"
    loads_again, precision = source.loads_again, dtype or native_dtype(torch.device(place))
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
    """As `load_model`, a model with joint layers of this project. Raises ConfigurationError for another as well."""
    from polyglance.models.families.cut_model import CutModel

    model = load_model(name)
    if not isinstance(model, CutModel):
        raise ConfigurationError(f"expected a model that can be trained here, got {model.name}: it is used as it is")
    return model


def load_single_stream(name: str | os.PathLike[str]) -> "SingleStreamModel":
    """As `load_model`, a single-stream model, to which tasks and languages can be added. Raises ConfigurationError for
    another as well."""
    from polyglance.models.families.single_stream import as_single_stream

    return as_single_stream(load_model(name))
