"""Tells from files alone whether a library's model is still the one that read it. Does not import torch.

A library stores the size and modification time of its model's files next to its tables. While these do not change, a
run that finds nothing to read needs neither the model nor torch.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from polyglance import atomic
from polyglance.models import bundled_folder, is_bundled
from polyglance.models.identity import ModelIdentity
from polyglance.store.lance import LanceDatabase

FILE: Final = "model.json"
_LANGUAGE: Final = "language.json"
"""A file in the folder of an added language; the model itself is elsewhere."""


def note_model(database: LanceDatabase, identity: ModelIdentity) -> None:
    """Records the files of the library's model. Call it after loading the model from its source and checking it."""
    source = database.reader.source
    if is_bundled(source):
        folder = bundled_folder()
    elif os.path.isabs(source):
        folder = Path(source)
    elif "/" in source and ":" not in source:
        from polyglance.models.huggingface.download import checkpoint_folder

        folder = checkpoint_folder(source)
    else:
        return
    if not (folder / _LANGUAGE).exists():
        noted: dict[str, Any] = {
            "fingerprint": database.reader.fingerprint,
            "folder": str(folder),
            "files": _stamps(folder),
        }
        noted["side_files"] = list(identity.side_files)
        with suppress(OSError):  # the model is then loaded again
            atomic.write_text(database.folder / FILE, json.dumps(noted, indent=1) + "\n")


def known_model(database: LanceDatabase) -> ModelIdentity | None:
    """Returns the identity of the library's model if its source certainly still names that model, else None."""
    reader = database.reader
    if not (os.path.isabs(reader.source) or is_bundled(reader.source)) and os.path.isdir(reader.source):
        return None  # a folder of that name goes before the hub
    noted = _noted(database)
    if noted.get("fingerprint") != reader.fingerprint or "side_files" not in noted:
        return None
    if noted.get("files") != _stamps(Path(str(noted.get("folder")))):
        return None
    return ModelIdentity(reader.name, reader.source, reader.fingerprint, side_files=tuple(noted["side_files"]))


def _noted(database: LanceDatabase) -> dict[str, Any]:
    try:
        noted = json.loads((database.folder / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _stamps(folder: Path) -> dict[str, list[int]]:
    """Returns the size and modification time of each file below a folder.

    A snapshot of the hub also includes the files that name the newest snapshot.
    """
    files = [path for path in folder.rglob("*") if path.is_file()]
    if folder.parent.name == "snapshots":
        files += [path for path in (folder.parents[1] / "refs").glob("*") if path.is_file()]
    stats = {str(path): path.stat() for path in sorted(files)}
    return {path: [stat.st_size, stat.st_mtime_ns] for path, stat in stats.items()}
