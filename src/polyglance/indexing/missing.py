"""Known pictures that a run did not find: moved, away with their folder, or gone. No file is opened."""

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from polyglance.data.images import FoundPictures, is_listed
from polyglance.store.protocols import PictureFacts
from polyglance.types import PathLike


@dataclass(frozen=True)
class Missing:
    """The paths that a library knows and a run did not find.

    moved: paths without a file whose content was found at another path. away: for each named folder, the paths of
    pictures that may return with it. gone: all other paths.
    """

    moved: set[str]
    away: dict[str, set[str]]
    gone: set[str]


def find_missing(
    known: Mapping[str, PictureFacts], roots: Sequence[str], found: FoundPictures, contents: Collection[str]
) -> Missing:
    """Sorts the known pictures that were not found into moved, away and gone.

    A missing picture has moved if its content was found at another path. Otherwise it is away if its folder is empty,
    as the mount point of an unmounted drive is, or if more of the known pictures below its root are missing than are
    still there. Otherwise it is gone.

    known: the known pictures by path. roots: the named folders, as absolute paths. found: the pictures that the run
    found. contents: the contents that the run found, each at a path in `found`.
    """
    named = set(roots)
    there = set(found.paths)
    elsewhere = known.keys() - there
    looked_for = {path for path in elsewhere if root_of(path, named) and not root_of(path, found.unreadable)}
    moved = {path for path in elsewhere if known[path].content in contents and (path in looked_for or _is_gone(path))}
    lost = looked_for - moved
    missing = Counter(root_of(path, named) for path in lost)
    stayed = Counter(root_of(path, named) for path in there & known.keys())
    is_emptied = cache(_is_emptied)
    away: dict[str, set[str]] = {}
    for path in lost:
        root = root_of(path, named) or path
        if missing[root] > stayed[root] or is_emptied(os.path.dirname(path)):
            away.setdefault(root, set()).add(path)
    return Missing(moved, away, lost.difference(*away.values()))


def named_alone(known: Collection[str], roots: Sequence[str], found: FoundPictures) -> list[str]:
    """Returns the known files below the roots that exist and that `find_pictures` passes over.

    These are files that were named themselves, and that are hidden or do not have the suffix of a picture.
    """
    named, there = set(roots), set(found.paths)
    return [
        path
        for path in sorted(known)
        if path not in there and (root := root_of(path, named)) and not is_listed(path, root) and os.path.exists(path)
    ]


def root_of(path: str, roots: Collection[str]) -> str | None:
    """Returns the deepest of the folders that contains the path or is the path itself, or None.

    roots: a collection with fast membership tests.
    """
    while path not in roots:
        parent = os.path.dirname(path)
        if parent == path:
            return None
        path = parent
    return path


def absolute(path: PathLike) -> str:
    return os.path.abspath(os.path.expanduser(os.fspath(path)))


def is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))


def is_away(path: str) -> bool:
    """Returns whether the file of a known picture is missing."""
    return not os.path.exists(path)


def _is_gone(path: str) -> bool:
    """Returns whether nothing exists at the path. A path that cannot be examined is taken to exist."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _is_emptied(folder: str) -> bool:
    """Returns whether the nearest existing folder is empty."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        parent = os.path.dirname(folder)
        return parent != folder and _is_emptied(parent)
