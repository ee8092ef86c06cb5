"""The families of joint models, their checkpoints, and the bundled one."""

import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from polyglance.errors import CheckpointError, ConfigurationError

if TYPE_CHECKING:
    from polyglance.models.single_stream import SingleStreamModel

__all__ = ["BUNDLED", "bundled_folder", "load_model", "source_of"]

BUNDLED = "scenes-mini"


def bundled_folder() -> Path:
    """Where the bundled model's files are."""
    return Path(str(files("polyglance.models"))) / BUNDLED


def source_of(name: str) -> str:
    """What loads the model of this name again, from any working directory."""
    return os.path.abspath(name) if os.path.isdir(name) else name


def load_model(name: str = BUNDLED) -> "SingleStreamModel":
    """A model ready to use.

    name: `scenes-mini`, the bundled one, or the path of a folder that a training wrote: a model's, or an added
        language's, which loads the model that it was added to.

    Raises:
        ConfigurationError: there is no model of that name.
        CheckpointError: its files cannot be used, or a language was added to another model.
    """
    from polyglance.models.checkpoint import load_folder
    from polyglance.models.languages import FILE, load_facts, load_language

    folder, added = _folder(name), list[Path]()
    while (folder / FILE).exists():
        if folder in added:
            raise CheckpointError(f"the language in {folder} says that it was added to itself: train it again")
        added.append(folder)
        folder = _folder(load_facts(folder)[1].model)
    model = load_folder(folder)
    for language in reversed(added):
        code, facts = load_facts(language)
        if model.fingerprint != facts.fingerprint:
            raise CheckpointError(
                f"the language {code!r} in {language} was added to {facts.model} ({facts.fingerprint}), "
                f"which now is another model ({model.fingerprint}): train the language in this one"
            )
        model.add_language(load_language(language, model.config.width, model.config.first_joint_layer))
        model.name = f"{model.name}+{code}"
    return model


def _folder(name: str) -> Path:
    """Raises ConfigurationError where there is no model of that name."""
    folder = bundled_folder() if name == BUNDLED else Path(name)
    if not folder.is_dir():
        raise ConfigurationError(
            f"no model {name!r}: expected {BUNDLED!r}, the bundled one, or a folder with a model in it"
        )
    return folder
