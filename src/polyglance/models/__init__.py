"""The families of joint models, their checkpoints, and the bundled one."""

import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from polyglance.errors import ConfigurationError

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

    name: `scenes-mini`, the bundled one, or the path of a folder that `polyglance scenes train` wrote.

    Raises:
        ConfigurationError: there is no model of that name.
        CheckpointError: its files cannot be used.
    """
    folder = bundled_folder() if name == BUNDLED else Path(name)
    if not folder.is_dir():
        raise ConfigurationError(
            f"no model {name!r}: expected {BUNDLED!r}, the bundled one, or a folder with a model in it"
        )
    from polyglance.models.checkpoint import load_folder

    return load_folder(folder)
