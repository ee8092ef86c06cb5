"""Known pictures that a run did not find: moved, away with their folder, or gone. Only names are looked at, no file."""

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from polyglance.data.images import FoundPictures, is_listed
from polyglance.store.protocols import PictureFacts

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Missing:
    """Paths that a library knows and a run did not find.

    moved: nothing is there, and the content was found at another path. away: of each folder that was named, pictures
    that may come back with it. gone: all others.
    """

    moved: set[str]
    away: dict[str, set[str]]
    gone: set[str]


def find_missing(
    known: Mapping[str, PictureFacts], roots: Sequence[str], found: FoundPictures, contents: Collection[str]
) -> Missing:
    """Which known pictures have moved, are away, or are gone from the folders `roots`, which are absolute.

    A picture has moved if its content was found at another path. Others are away, and not gone, if the folder that
    held them is there but empty, as that of a drive that is not mounted, or if more of the pictures known below the
    root are missing than are still there.

    known: by path. contents: those that the run found, each at a path of `found`.
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
    """Known files below the roots that are there, and that `find_pictures` passes over: hidden ones, or such of other
    suffixes, that were named themselves."""
    named, there = set(roots), set(found.paths)
    return [
        path
        for path in sorted(known)
        if path not in there and (root := root_of(path, named)) and not is_listed(path, root) and os.path.exists(path)
    ]


def root_of(path: str, roots: Collection[str]) -> str | None:
    """The longest of the folders that holds the path, or is the path itself. roots: a set or the like."""
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
    """Whether the file of a known picture is not there to be opened."""
    return not os.path.exists(path)


def _is_gone(path: str) -> bool:
    """Whether nothing is there; what cannot be looked at may be."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _is_emptied(folder: str) -> bool:
    """Whether the nearest folder that is there holds nothing."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        parent = os.path.dirname(folder)
        return parent != folder and _is_emptied(parent)
