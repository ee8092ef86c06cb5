"""Finds the files of a published checkpoint in a folder or on the Hugging Face hub."""

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from polyglance.errors import CheckpointError, ConfigurationError, reason_of
from polyglance.models.bundled import BUNDLED

if TYPE_CHECKING:
    from torch import Tensor

DESCRIPTION: Final = "config.json"
_WANTED: Final = ["*.safetensors", "*.json", "*.txt"]
_ELSEWHERE: Final = ["*/*"]
"""Files in subfolders, which hold copies for other engines."""
_MODULES: Final = "modules.json"
_ENGINES: Final = ["onnx/*", "openvino/*"]
WEIGHTS: Final = "model.safetensors"
_INDEX: Final = "model.safetensors.index.json"
_PICKLES: Final = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_HUB_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@[\w./-]+)?")


def checkpoint_folder(name: str, nested: bool = False) -> Path:
    """Returns the folder with a checkpoint's files, from the disk, the hub's cache or the hub.

    Only config files, weights as safetensors and the tokenizer's text are fetched, after a line on standard error that
    gives their size.

    name: a folder, or a name on the hub: `owner/model` for the newest revision, or `owner/model@revision` for a branch,
    a tag or a commit. nested: whether the checkpoint also has subfolders, one for each module in a modules.json.

    Raises:
        ConfigurationError: there is neither a folder nor a checkpoint of that name, or the hub cannot be reached.
        CheckpointError: the folder holds no checkpoint, or its weights are pickle.
    """
    if os.path.isdir(name):
        return _checked(Path(name), name, nested)
    if not _HUB_NAME.fullmatch(name):
        raise ConfigurationError(
            f"expected a checkpoint's folder, or a name on the hub such as owner/model, got {name!r}, which is neither"
        )
    cached = _snapshot(name, nested, local_files_only=True)
    if cached and _is_whole(cached, nested):
        return _checked(cached, name, nested)
    _announce(name, nested)
    if not (fetched := _snapshot(name, nested, local_files_only=False)):
        raise ConfigurationError(
            f"no folder {name!r} and no checkpoint of that name in the hub's cache, and the hub cannot be reached: "
            "name a folder that holds the checkpoint's files (config.json, model.safetensors, tokenizer.json), or "
            f"{BUNDLED} to try things out"
        )
    return _checked(fetched, name, nested)


def _snapshot(name: str, nested: bool, local_files_only: bool) -> Path | None:
    """Returns the folder of a snapshot, or None if it is not in the cache and the network cannot be reached."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, _, revision = name.partition("@")
    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision or None,
                allow_patterns=_WANTED,
                ignore_patterns=_unwanted(nested),
                local_files_only=local_files_only,
            )
        )
    except LocalEntryNotFoundError:
        return None
    except GatedRepoError as error:
        raise ConfigurationError(
            f"{name} is on the hub for those alone who accepted its terms: accept them there, then `hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise ConfigurationError(f"{repository} has no revision {revision!r} on the hub") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ConfigurationError(f"neither a folder nor a checkpoint on the hub is called {name!r}") from error
    except OSError as error:  # of the network or the disk, half-way through
        raise ConfigurationError(f"{name} could not be fetched from the hub: {reason_of(error)}; try again") from error


def _unwanted(nested: bool) -> list[str]:
    return _ENGINES if nested else _ELSEWHERE


def _announce(name: str, nested: bool) -> None:
    """Prints what is about to be fetched and its size, or nothing if the hub does not tell."""
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    try:
        files = snapshot_download(
            repository,
            revision=revision or None,
            allow_patterns=_WANTED,
            ignore_patterns=_unwanted(nested),
            dry_run=True,
        )
    except Exception:  # whatever it is, fetching meets it next and says so
        return
    size = sum(file.file_size or 0 for file in files) / 1e6
    print(f"fetching {name} from the Hugging Face hub, once: {size:,.1f} MB", file=sys.stderr)


def _is_whole(folder: Path, nested: bool) -> bool:
    """Returns whether there are weights, and all files of sharded weights exist."""
    folders = _folders(folder, nested)
    return any(any(path.glob("*.safetensors")) for path in folders) and not any(map(_missing_shards, folders))


def _folders(folder: Path, nested: bool) -> list[Path]:
    return [folder, *(path for path in folder.iterdir() if path.is_dir())] if nested else [folder]


def _missing_shards(folder: Path) -> list[str]:
    """Returns the files that the index of sharded weights names and that are missing."""
    if (folder / WEIGHTS).exists() or not (folder / _INDEX).exists():
        return []
    return [name for name in shards(folder) if not (folder / name).exists()]


def shards(folder: Path) -> list[str]:
    """Returns the files that `model.safetensors.index.json` names. Raises CheckpointError if there is no index."""
    index = read_json(folder, _INDEX).get("weight_map")
    if not (isinstance(index, dict) and all(isinstance(name, str) for name in index.values())):
        raise CheckpointError(f"{folder / _INDEX} has no weight_map of file names")
    return sorted({Path(name).name for name in index.values()})


def _checked(folder: Path, name: str, nested: bool) -> Path:
    if not (folder / DESCRIPTION).exists() and not (nested and (folder / _MODULES).exists()):
        raise CheckpointError(f"{name} holds no checkpoint: expected a file {DESCRIPTION} in it")
    folders = _folders(folder, nested)
    if missing := [shard for path in folders for shard in _missing_shards(path)]:
        raise CheckpointError(
            f"{name}: its weights are incomplete, {len(missing)} of the files that {_INDEX} names are missing, such as "
            f"{missing[0]}: get the files again"
        )
    weights = {path: any(path.glob("*.safetensors")) for path in folders}
    found = sorted(file.name for path in folders if not weights[path] for kind in _PICKLES for file in path.glob(kind))
    if any(weights.values()) and not found:
        return folder
    there = f"its weights are pickle ({found[0]}), which can run code" if found else "there are none"
    raise CheckpointError(
        f"{name}: expected weights as safetensors, but {there}; where you trust the source, load it with transformers "
        "and write it anew with `save_pretrained(FOLDER)`"
    )


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Reads a JSON file of a checkpoint. Raises CheckpointError if it is missing or not an object."""
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


def read_weights(folder: Path) -> "dict[str, Tensor]":
    """Reads all tensors of `model.safetensors`, or of the files that its index names.

    The names are those of current checkpoints: the gamma and beta of norms in old ones are renamed.

    Raises:
        CheckpointError: a file is missing or cut short.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    names = [WEIGHTS]
    if not (folder / WEIGHTS).exists() and (folder / _INDEX).exists():
        names = shards(folder)
    weights: dict[str, Tensor] = {}
    for name in names:
        try:
            weights |= load_file(folder / name)
        except (OSError, SafetensorError) as error:
            reason = "there is no such file" if isinstance(error, FileNotFoundError) else reason_of(error)
            raise CheckpointError(
                f"{folder / name} cannot be used: {reason}; expected the model's weights as safetensors"
            ) from error
    renamed = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
    return {name.replace(*renamed[0]).replace(*renamed[1]): value for name, value in weights.items()}
