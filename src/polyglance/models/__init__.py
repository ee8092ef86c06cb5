"""The families of joint models, their checkpoints, and the bundled one."""

import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from polyglance.errors import CheckpointError, ConfigurationError

if TYPE_CHECKING:
    from polyglance.models.families.cut_model import CutModel
    from polyglance.models.families.single_stream import SingleStreamModel
    from polyglance.models.protocol import JointModel

__all__ = [
    "BUNDLED",
    "FOR_PHOTOGRAPHS",
    "FOR_QUESTIONS",
    "bundled_folder",
    "load_model",
    "load_single_stream",
    "load_trainable",
    "note_on",
    "source_of",
]

BUNDLED = "scenes-mini"
FOR_PHOTOGRAPHS = "google/siglip2-base-patch16-256"
"""What reads a new library where nobody names a model."""


FOR_QUESTIONS = "Salesforce/blip-vqa-base"
"""A published model that answers questions about photographs: named where no model that answers is at hand."""


def note_on(name: str) -> str | None:
    """What to know before trusting the answers of the model of this name; None for one of which nothing is known."""
    if name == BUNDLED or name.startswith(f"{BUNDLED}+"):  # + a language that was added to it
        return f"{BUNDLED} knows drawn scenes only: its answers about a photograph mean nothing"
    return None


def bundled_folder() -> Path:
    """Where the bundled model's files are."""
    return Path(str(files("polyglance.models"))) / BUNDLED


def source_of(name: str) -> str:
    """What loads the model of this name again, from any working directory."""
    prefix, path = ("st:", name[3:]) if name.startswith("st:") else ("", name)
    return prefix + os.path.abspath(path) if os.path.isdir(path) else name


def load_model(name: str = BUNDLED) -> "JointModel":
    """A model ready to use.

    name: `scenes-mini`, the bundled one; the path of a folder that a training wrote: a model's, or an added language's,
        which loads the model that it was added to; a published checkpoint, by its folder or its name on the hub, such
        as google/siglip2-base-patch16-256; or `st:NAME`, an embedding model of sentence-transformers.

    Raises:
        ConfigurationError: there is no model of that name, or the hub cannot be reached.
        CheckpointError: its files cannot be used, or a language was added to another model.
    """
    from polyglance.kernels.processor import native_dtype
    from polyglance.models.added_language import FILE, load_facts, load_language
    from polyglance.models.checkpoint import load_folder
    from polyglance.models.families.blip import is_blip, load_blip
    from polyglance.models.families.sentence_transformers import PREFIX, load_embedder

    if name.startswith(PREFIX):
        return load_embedder(name)
    folder, added = _folder(name), list[Path]()
    while (folder / FILE).exists():
        if folder in added:
            raise CheckpointError(f"the language in {folder} says that it was added to itself: train it again")
        added.append(folder)
        name = load_facts(folder)[1].model
        folder = _folder(name)
    if is_blip(folder):
        return load_blip(folder, folder.resolve().name if os.path.isdir(name) else name, native_dtype())
    model = load_folder(folder, name=None if os.path.isdir(name) else name)
    for language in reversed(added):
        code, facts = load_facts(language)
        if model.fingerprint != facts.fingerprint:
            raise CheckpointError(
                f"the language {code!r} in {language} was added to {facts.model} ({facts.fingerprint}), "
                f"which now is another model ({model.fingerprint}): train the language in this one"
            )
        single = _single_stream(model)
        single.add_language(load_language(language, single.config.width, single.config.first_joint_layer))
        model.name = f"{model.name}+{code}"
    return model


def load_trainable(name: str) -> "CutModel":
    """As `load_model`, a model with joint layers of this project. Raises ConfigurationError for another as well."""
    from polyglance.models.families.cut_model import CutModel

    model = load_model(name)
    if not isinstance(model, CutModel):
        raise ConfigurationError(f"expected a model that can be trained here, got {model.name}: it is used as it is")
    return model


def load_single_stream(name: str) -> "SingleStreamModel":
    """As `load_model`, a single-stream model, to which tasks and languages can be added. Raises ConfigurationError for
    another as well."""
    return _single_stream(load_model(name))


def _single_stream(model: "JointModel") -> "SingleStreamModel":
    from polyglance.models.families.single_stream import SingleStreamModel

    if not isinstance(model, SingleStreamModel):
        raise ConfigurationError(
            f"expected a single-stream model, to which tasks and languages are added, got {model.name}"
        )
    return model


def _folder(name: str) -> Path:
    """Raises ConfigurationError where there is no model of that name."""
    from polyglance.models.huggingface.download import checkpoint_folder

    if name == BUNDLED or os.path.isdir(name):
        return bundled_folder() if name == BUNDLED else Path(name)
    if "/" in name:
        return checkpoint_folder(name)
    raise ConfigurationError(
        f"no model {name!r}: expected {BUNDLED!r}, the bundled one, a folder with a model in it, or a name on the hub "
        "such as owner/model"
    )
