"""Files and folders that are written whole or not at all, whenever the process is killed or the power goes."""

import errno
import os
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Final

_NO_FOLDER_SYNC: Final = (errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP)
"""What file systems answer that cannot sync a folder; they keep its entries by other means, or not at all."""
_ABANDONED: Final = 24 * 3600
"""Seconds without a change after which a draft was left by a process that was killed."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives the block a draft beside `path`, which takes the place of `path` when the block ends without an error.

    What the block writes to the draft, a file or a folder, is on the disk before it gets its name. After an error, or a
    kill at any point, `path` is what it was. A file replaces a file; a folder needs a name that is free.
    """
    with _drafted(path) as draft:
        yield draft
        sync(draft)
        os.replace(draft, path)
        sync_one(path.parent)


@contextmanager
def whole_files(folder: Path) -> Iterator[Path]:
    """Gives the block an empty draft folder, whose files are moved to `folder` when the block ends without an error.

    Each takes the place of the file of its name, a description (`.json`) after all others; what else is in `folder`
    stays. No file is ever half written, and a folder that was not there comes with all of its files.
    """
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with whole(folder) as draft:
            draft.mkdir()
            yield draft
        return
    with _drafted(folder / "files") as draft:
        draft.mkdir()
        yield draft
        sync(draft)
        files = [path for path in draft.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: (path.suffix == ".json", path)):
            place = folder / path.relative_to(draft)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, place)
            sync_one(place.parent)


@contextmanager
def _drafted(path: Path) -> Iterator[Path]:
    """A name beside `path` that is free, and is so again when the block has ended."""
    for old in path.parent.glob(f".{escape(path.name)}.*.part"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > _ABANDONED:
                remove(old)
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    remove(draft)
    try:
        yield draft
    finally:
        with suppress(OSError):
            remove(draft)


def write_text(path: Path, text: str) -> None:
    """Writes a file of UTF-8, whole or not at all."""
    with whole(path) as draft:
        draft.write_text(text, encoding="utf-8")


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it; one that is not there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_draft(name: str) -> bool:
    """Whether a file of this name is what `whole` leaves behind when its process is killed."""
    return name.startswith(".") and name.endswith(".part")


def sync(path: Path) -> None:
    """Returns when a file, or a folder with all that is in it, is safe from a power cut."""
    paths = [path, *(path.rglob("*") if path.is_dir() else ())]
    with ThreadPoolExecutor(16) as pool:  # a file system commits together what is synced together
        list(pool.map(sync_one, paths))


def sync_one(path: Path) -> None:
    """Returns when a file, or the list of what is in a folder, is safe from a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno in _NO_FOLDER_SYNC):
            raise
    finally:
        os.close(descriptor)
