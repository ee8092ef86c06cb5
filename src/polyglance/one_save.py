"""Weights that remember the files saved beside them: a save into an existing folder that is killed leaves files of two
saves, each whole, whose shapes may fit."""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from polyglance.errors import CheckpointError

Digest = Callable[[Path], str | None]
"""What identifies the content of a file; None for one that does not belong to the save."""

_SAVED_WITH: Final = "saved_with"
"""In the metadata of the weights: the digest of each file that was saved with them."""
_SUFFIXES: Final = (".json", ".txt", ".model", ".safetensors")
"""Of descriptions, vocabularies and other weights."""


def digest_of(path: Path) -> str | None:
    """Returns a hash of a file's bytes."""
    return sha256(path.read_bytes()).hexdigest()


def save_weights(weights: Mapping[str, Tensor], path: Path, digest: Digest = digest_of) -> None:
    """Writes weights that remember the other files in their folder; call it after these were written."""
    beside = sorted(file for file in path.parent.rglob("*") if file.suffix in _SUFFIXES and file != path)
    found = {file.relative_to(path.parent).as_posix(): digest(file) for file in beside}
    saved_with = {name: digested for name, digested in found.items() if digested}
    save_file(dict(weights), path, {_SAVED_WITH: json.dumps(saved_with)})


def require_one_save(path: Path, digest: Digest = digest_of) -> None:
    """Checks that the files beside weights are those that were saved with them.

    Raises:
        CheckpointError: a file is missing or belongs to another save.
        OSError, SafetensorError: the weights cannot be read.
    """
    with safe_open(path, framework="pt") as weights:
        saved_with = json.loads((weights.metadata() or {}).get(_SAVED_WITH, "{}"))
    for name, expected in saved_with.items():
        beside = path.parent / name
        if not beside.exists() or digest(beside) != expected:
            raise CheckpointError(
                f"{beside} is not the file that was saved with {path.name}, as after a save that was killed: "
                "copy the folder again, or train again"
            )
