"""Resolves the name of a model to its files and to a name that loads it again. Does not import torch."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from polyglance.errors import ConfigurationError
from polyglance.models.bundled import BUNDLED, bundled_folder, is_bundled
from polyglance.models.huggingface.download import checkpoint_folder

SENTENCE_TRANSFORMERS: Final = "st:"
"""The prefix that marks the name of a model of sentence-transformers."""
FOR_PHOTOGRAPHS: Final = "google/siglip2-base-patch16-256"
"""The default model of a new library."""
FOR_QUESTIONS: Final = "Salesforce/blip-vqa-base"
"""A published model that answers questions about photographs. Error messages recommend it."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from.

    folder: the folder of the model's files. name: the name for a model that has no name of its own. loads_again: what
    `load_model` takes to load the same model from any working directory.
    """

    folder: Path
    name: str
    loads_again: str


def find_model(name: str | os.PathLike[str], owner: str = "sentence-transformers") -> ModelSource:
    """Finds the files of a model by its name, and fetches them from the hub unless the cache has them.

    name: a `Path` is a folder. A string is, in this order: `st:NAME`, a model of sentence-transformers; `BUNDLED` or a
    former name of the bundled model, even if there is a folder of that name (`./NAME` is the folder); a folder that
    exists; a name on the hub, `owner/model` or `owner/model@revision`. owner: the owner on the hub of an `st:NAME` that
    does not name one.

    Raises:
        ConfigurationError: there is no model of that name, or the hub cannot be reached.
        CheckpointError: the files of a published checkpoint are incomplete, or are pickle.
    """
    if not isinstance(name, str):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise ConfigurationError(f"expected a folder with a model in it, but there is none at {folder}")
        return _in_folder(folder)
    if name.startswith(SENTENCE_TRANSFORMERS):
        where = name.removeprefix(SENTENCE_TRANSFORMERS)
        if os.path.isdir(os.path.expanduser(where)):
            folder = checkpoint_folder(os.path.expanduser(where), nested=True)
            return ModelSource(folder, name, f"{SENTENCE_TRANSFORMERS}{os.path.abspath(folder)}")
        found = _on_hub(where if "/" in where else f"{owner}/{where}", nested=True)
        return ModelSource(found.folder, name, f"{SENTENCE_TRANSFORMERS}{found.loads_again}")
    if is_bundled(name):
        return ModelSource(bundled_folder(), BUNDLED, BUNDLED)
    if os.path.isdir(folder := Path(name).expanduser()):
        return _in_folder(folder)
    if "/" in name:
        return _on_hub(name, nested=False)
    raise ConfigurationError(
        f"no model {name!r}: expected {BUNDLED!r}, the bundled one, a folder with a model in it, or a name on the hub "
        "such as owner/model"
    )


def _in_folder(folder: Path) -> ModelSource:
    absolute = os.path.abspath(folder)
    return ModelSource(Path(absolute), folder.resolve().name, absolute)


def _on_hub(name: str, nested: bool) -> ModelSource:
    """Finds a model on the hub. The commit that names the folder of its snapshot is recorded as the revision."""
    folder, repository = checkpoint_folder(name, nested), name.partition("@")[0]
    pinned = f"{repository}@{folder.name}" if _COMMIT.fullmatch(folder.name) else name
    return ModelSource(folder, repository, pinned)
