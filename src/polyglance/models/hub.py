"""Where the files of a published checkpoint are: in a folder, or under a name on the Hugging Face hub."""

import json
import os
import re
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from polyglance.errors import CheckpointError, ConfigurationError

DESCRIPTION: Final = "config.json"
_WANTED: Final = ["*.safetensors", "*.json", "*.txt"]
_ELSEWHERE: Final = ["*/*"]
"""Copies for other engines lie in folders of their own."""
WEIGHTS: Final = "model.safetensors"
_INDEX: Final = "model.safetensors.index.json"
_PICKLES: Final = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_HUB_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def checkpoint_folder(name: str) -> Path:
    """The folder with a checkpoint's files: `name` itself, or what the hub has by that name, whose cache comes first.

    It holds a config.json and weights as safetensors; nothing else is fetched than these and the tokenizer's text.

    Raises:
        ConfigurationError: there is neither a folder nor a checkpoint of that name, or the hub cannot be reached.
        CheckpointError: the folder holds no checkpoint, or its weights are pickle.
    """
    if os.path.isdir(name):
        return _checked(Path(name), name)
    if not _HUB_NAME.fullmatch(name):
        raise ConfigurationError(
            f"expected a checkpoint's folder, or a name on the hub such as owner/model, got {name!r}, which is neither"
        )
    cached = _snapshot(name, local_files_only=True)
    if cached and any(cached.glob("*.safetensors")):
        return _checked(cached, name)
    if not (fetched := _snapshot(name, local_files_only=False)):
        raise ConfigurationError(
            f"no folder {name!r} and no checkpoint of that name in the hub's cache, and the hub cannot be reached: "
            "name a folder that holds the checkpoint's files (config.json, model.safetensors, tokenizer.json)"
        )
    return _checked(fetched, name)


def _snapshot(name: str, local_files_only: bool) -> Path | None:
    """None where the files are not in the cache and cannot be fetched for want of a network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return Path(
            snapshot_download(
                name, allow_patterns=_WANTED, ignore_patterns=_ELSEWHERE, local_files_only=local_files_only
            )
        )
    except LocalEntryNotFoundError:
        return None
    except GatedRepoError as error:
        raise ConfigurationError(
            f"{name} is on the hub for those alone who accepted its terms: accept them there, then `hf auth login`"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ConfigurationError(f"neither a folder nor a checkpoint on the hub is called {name!r}") from error
    except OSError as error:  # of the network or the disk, half-way through
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigurationError(f"{name} could not be fetched from the hub: {reason}; try again") from error


def _checked(folder: Path, name: str) -> Path:
    if not (folder / DESCRIPTION).exists():
        raise CheckpointError(f"{name} holds no checkpoint: expected a file {DESCRIPTION} in it")
    if any(folder.glob("*.safetensors")):
        return folder
    found = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    there = f"its weights are pickle ({found[0]}), which can run code" if found else "there are none"
    raise CheckpointError(
        f"{name}: expected weights as safetensors, but {there}; where you trust the source, load it with transformers "
        "and write it anew with `save_pretrained(FOLDER)`"
    )


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """One of a checkpoint's descriptions. Raises CheckpointError where it is missing or no object."""
    path = folder / name
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(f"{folder} holds no checkpoint: expected a file {name} in it") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: expected an object, got {found!r}")
    return found


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of `model.safetensors`, or of the files that its index names, by the names that the hub's files have
    today: norms once had a gamma and a beta. Raises CheckpointError for a file that is missing or cut short."""
    names = [WEIGHTS]
    if not (folder / WEIGHTS).exists() and (folder / _INDEX).exists():
        index = read_json(folder, _INDEX).get("weight_map")
        if not (isinstance(index, dict) and all(isinstance(name, str) for name in index.values())):
            raise CheckpointError(f"{folder / _INDEX} has no weight_map of file names")
        names = sorted({Path(name).name for name in index.values()})
    weights: dict[str, Tensor] = {}
    for name in names:
        try:
            weights |= load_file(folder / name)
        except (OSError, SafetensorError) as error:
            reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error).splitlines()[0]
            raise CheckpointError(
                f"{folder / name} cannot be used: {reason}; expected the model's weights as safetensors"
            ) from error
    renamed = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
    return {name.replace(*renamed[0]).replace(*renamed[1]): value for name, value in weights.items()}
