"""The names and the folder of the bundled model. Does not import torch."""

from importlib.resources import files
from pathlib import Path
from typing import Final

BUNDLED: Final = "polyglance-mini"
"""The name of the bundled model, and of its folder."""
_NAMES: Final = ("polyglance-mini", "scenes-mini")
"""The names of all editions of the bundled model. Each loads the edition that is bundled now."""


def is_bundled(name: str) -> bool:
    """Returns whether a name stands for the bundled model, now or in another edition."""
    return name in _NAMES


def bundled_folder() -> Path:
    """Returns the folder of the bundled model."""
    return Path(str(files("polyglance.models"))) / BUNDLED


def note_on(name: str) -> str | None:
    """Returns what to know before trusting the answers of the model of this name, or None."""
    model = name.partition("+")[0]  # behind it, a language that was added to the model
    return f"{model} can answer about drawn scenes only" if is_bundled(model) else None
