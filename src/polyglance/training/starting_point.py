"""The start of a training: the model it starts from, and the check that a folder belongs to this training."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch

from polyglance import atomic
from polyglance.errors import ConfigurationError
from polyglance.models.families.cut_model import CutModel

AnyCutModel = TypeVar("AnyCutModel", bound=CutModel)


def remade(model: AnyCutModel, seed: int, **changed: Any) -> AnyCutModel:
    """Returns the model in another shape, in float32, with the fingerprint of the original.

    Existing weights that have the same shape are kept. seed: draws the new ones. changed: fields of the configuration;
    if `answers` is among them, the answer head is new.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = model.in_shape(**changed).to(model.device)
    shapes = {name: value.shape for name, value in made.state_dict().items()}
    kept = {name: value for name, value in model.state_dict().items() if shapes.get(name) == value.shape}
    if "answers" in changed:
        kept = {name: value for name, value in kept.items() if not name.startswith("answer_head")}
    made.load_state_dict(kept, strict=False)
    made.fingerprint = model.fingerprint
    return made.float()


def require_trainable(model: CutModel) -> None:
    """Raises ConfigurationError for a model with an added language, or one exported to 8-bit integers."""
    require_no_added_language(model)
    if model.is_export:
        raise ConfigurationError(
            f"expected a model as it was before its export, got {model.name}, whose image tower is in 8-bit integers: "
            "train the original, and export what comes of it"
        )


def require_no_added_language(model: CutModel) -> None:
    """Raises ConfigurationError if a language was added: it only fits the weights that it was added to."""
    if added := [code for code in model.languages if code not in model.config.languages]:
        raise ConfigurationError(
            f"expected a model to which no language was added, got {model.name} with {', '.join(added)}: "
            "train the model that it was added to, and add it to that"
        )


def check_beginning(path: Path, beginning: Mapping[str, object], defaults: Mapping[str, object] | None = None) -> None:
    """Checks that a folder's checkpoint belongs to this training; without this, another training would resume it.

    path: a file with the settings of the folder's training, written if it does not exist. beginning: the settings of
    this training. defaults: values of options that the file may predate.

    Raises ConfigurationError if the settings differ.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    now = json.loads(json.dumps(beginning))
    before = {**(defaults or {}), **json.loads(path.read_text())} if path.exists() else now
    if before != now:
        changed = sorted(name for name, value in now.items() if before.get(name) != value)
        raise ConfigurationError(
            f"{path.parent} holds a training with another {', '.join(changed)}: name another folder, or empty it"
        )
    if not path.exists():
        atomic.write_text(path, json.dumps(now, indent=1) + "\n")
