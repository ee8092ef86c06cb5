"""Errors for a library's folder that cannot be used.

They give the operating system's reason, and report damage only if a file of the library is missing or truncated.
"""

import errno
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from polyglance.errors import LibraryDamaged, LibraryError, PolyglanceError, reason_of

_FULL: Final = "the disk is full: free some space and run this again"
_DENIED: Final = "permission denied: see with `ls -la` who may use its files"
_GONE: Final = "its drive does not answer: connect it and run this again"
_ADVICE: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: "the disk quota is used up: free some space and run this again",
    errno.EFBIG: "a file would grow larger than is allowed here: see `ulimit -f`, or choose another drive",
    errno.EROFS: "its drive is write-protected: choose another folder with --library",
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EMFILE: "too many files are open: see `ulimit -n`",
    errno.ENFILE: "too many files are open on this machine",
    errno.EIO: "its drive reports an error in reading or writing: look after the drive",
    errno.ESTALE: _GONE,
    errno.ENOTCONN: _GONE,
    errno.ENODEV: _GONE,
    errno.ENXIO: _GONE,
    errno.EHOSTDOWN: _GONE,
    errno.ETIMEDOUT: _GONE,
}
_MAGIC: Final = b"LANC"
"""The last four bytes of every manifest and data file of Lance."""


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """A context that turns any failure of reading into an error of one line about the library.

    Raises LibraryDamaged if files of the library are truncated or missing, LibraryError for any other reason.
    """
    try:
        yield
    except BaseException as error:
        if not _is_failure(error):
            raise
        if (number := _errno(error)) in _ADVICE:
            reason = _ADVICE[number]
        elif damage := damage_of(folder):
            raise damaged(folder, damage) from error
        else:
            reason = (
                f"{_short(error)}; none of its files is missing or cut short: run this again, and if it stays so, read "
                f"your pictures into another: polyglance index FOLDER --library {shlex.quote(f'{folder}-2')}"
            )
        raise LibraryError(f"the library at {folder} cannot be read: {reason}") from error


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A context that turns any failure of writing into a LibraryError of one line about the library."""
    try:
        yield
    except BaseException as error:
        if not _is_failure(error):
            raise
        reason = _ADVICE.get(_errno(error), f"{_short(error)}; run this again")
        raise LibraryError(f"the library at {folder} cannot be written, and keeps what it holds: {reason}") from error


def damaged(folder: Path, damage: str) -> LibraryDamaged:
    """Returns the error for a library with truncated or missing files. damage: names the file and what is wrong."""
    return LibraryDamaged(
        f"the library at {folder} is damaged, {damage}; "
        f"remove it and index again: {shlex.join(['rm', '-r', str(folder)])} && "
        f"{shlex.join(['polyglance', 'index', 'FOLDER', '--library', str(folder)])}"
    )


def damage_of(folder: Path) -> str | None:
    """Describes the first missing or truncated file of the library's tables.

    Returns None if there is no such file, or a file cannot be examined.
    """
    try:
        return next(filter(None, map(_damage_of_table, sorted(folder.glob("*.lance")))), None)
    except BaseException as error:
        if not _is_failure(error):
            raise
        return None  # a failed examination does not prove damage


def _damage_of_table(table: Path) -> str | None:
    import lance

    manifests = [table / "_versions" / name for name in _names(table / "_versions") if name.endswith(".manifest")]
    if not manifests:
        return f"{table.name} has lost its versions"
    newest = min(manifests, key=lambda path: int(path.stem))  # the name is the number of versions that may follow
    if not _ends_whole(newest):
        return f"{newest.relative_to(table.parent)} is cut short"
    for fragment in lance.dataset(table).get_fragments():
        files = [(table / "data" / file.path, file.file_size_bytes) for file in fragment.data_files()]
        if deleted := fragment.deletion_file():
            files.append((table / deleted, None))
        for path, size in files:
            if path.name not in _names(path.parent):
                return f"{path.relative_to(table.parent)} is missing"
            if size is not None and (path.stat().st_size != size or not _ends_whole(path)):
                return f"{path.relative_to(table.parent)} is cut short"
    return None


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(_MAGIC)))
        return file.read() == _MAGIC


def _is_failure(error: BaseException) -> bool:
    """Whether an error comes from another library; these have many types, and a Rust panic is not an Exception."""
    return not isinstance(error, PolyglanceError) and (
        isinstance(error, Exception) or type(error).__name__ == "PanicException"
    )


def _errno(error: BaseException) -> int:
    """Returns the operating system's error number, or 0 if there is none; Lance gives it only in the text."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    match = re.search(r"\(os error (\d+)\)", str(error))
    return int(match[1]) if match else 0


def _short(error: BaseException) -> str:
    """Returns the first line of the message, without the position in Lance's source."""
    return reason_of(error).split(", /")[0]
