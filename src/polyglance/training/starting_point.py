"""Where a training begins: the model that it starts from, and the folder that belongs to one beginning alone."""

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
    """The model in another shape, float32: what it had it keeps, what is new is drawn by the seed; its fingerprint
    stays that of what it was made from. changed: fields of its configuration; other answers have a head of their own.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = model.in_shape(**changed).to(model.device)
    kept = model.state_dict()
    if "answers" in changed:
        kept = {name: value for name, value in kept.items() if not name.startswith("answer_head")}
    made.load_state_dict(kept, strict=False)
    made.fingerprint = model.fingerprint
    return made.float()


def require_trainable(model: CutModel) -> None:
    """Raises ConfigurationError for a model to which a language was added, and for an export in 8-bit integers."""
    require_no_added_language(model)
    if model.is_export:
        raise ConfigurationError(
            f"expected a model as it was before its export, got {model.name}, whose image tower is in 8-bit integers: "
            "train the original, and export what comes of it"
        )


def require_no_added_language(model: CutModel) -> None:
    """A language belongs to the very weights that it was added to. Raises ConfigurationError where there is one."""
    if added := [code for code in model.languages if code not in model.config.languages]:
        raise ConfigurationError(
            f"expected a model to which no language was added, got {model.name} with {', '.join(added)}: "
            "train the model that it was added to, and add it to that"
        )


def check_beginning(path: Path, beginning: Mapping[str, object], defaults: Mapping[str, object] | None = None) -> None:
    """A checkpoint belongs to one beginning, which stands in `path`: another would take it up unseen.

    defaults: of options that the file may be older than. Raises ConfigurationError for another beginning.
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
