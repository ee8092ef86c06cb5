"""Folders that experiments fetch into the user's cache. Each has all of its files, or is not there."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from polyglance.atomic import remove, whole
from polyglance.errors import ConfigurationError, PolyglanceError

_SOURCE: Final = "source.json"
"""What a folder was made from."""


def cache_root() -> Path:
    """Returns the folder of polyglance in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "polyglance"


def make_folder(folder: Path, source: Mapping[str, object], write: Callable[[Path], None]) -> Path:
    """Writes a folder unless it is there and was made from the same source, and returns it. It appears with all of its
    files or not at all.

    source: as JSON. write: writes the files into the folder that it is given.
    """
    if not is_made_from(folder, source):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with whole(folder) as draft:
            draft.mkdir()
            write(draft)
            (draft / _SOURCE).write_text(json.dumps(source, indent=1) + "\n", encoding="utf-8")
            remove(folder)
    return folder


def require_folder(folder: Path, source: Mapping[str, object], command: str) -> Path:
    """Returns a folder that was made before. Raises ConfigurationError if it was not; the error names the command."""
    if not is_made_from(folder, source):
        raise ConfigurationError(f"expected {folder} with its files, but they are not there: `{command}` fetches them")
    return folder


def is_made_from(folder: Path, source: Mapping[str, object]) -> bool:
    """Whether `make_folder` wrote the folder from this source."""
    try:
        return bool(json.loads((folder / _SOURCE).read_text(encoding="utf-8")) == source)
    except (OSError, ValueError):
        return False


def fetch(description: str | None, names: Iterable[str], root: Path, make: Callable[[str, Path], Path]) -> int:
    """Runs a command that makes folders by name, and returns its exit status.

    names: of all folders. root: the default place. make: makes a folder by its name and the place, and returns it.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--folder", type=Path, default=root, metavar="DIR", help="[default: %(default)s]")
    arguments = parser.parse_args()
    try:
        for name in arguments.names or names:
            print(make(name, arguments.folder))
    except PolyglanceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
