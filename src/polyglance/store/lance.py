"""The database of a library in a folder: Lance tables.

`LanceDatabase` handles two properties of Lance: every write leaves an old version behind (`tidy`), and nothing is
synced to the disk (`sync`).
"""

import os
import shlex
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Final

import pyarrow as pa

from polyglance import atomic
from polyglance.errors import ConfigurationError, LibraryError, LibraryMismatch, LibraryMissing
from polyglance.query import is_utf8
from polyglance.store.failures import damage_of, damaged, reading, writing
from polyglance.store.memory import MemoryVectorStore
from polyglance.store.protocols import PictureFacts, ReaderFacts, TextFacts, VectorStore
from polyglance.store.tables import STATES_SCHEMA, LanceStateStore, LanceTable, LanceVectorStore

PICTURES: Final = "pictures"
TEXTS: Final = "texts"
STATES: Final = "states"
_LOCK: Final = "writer.lock"
_OF_EMPTY_FOLDERS: Final = (_LOCK, "lost+found", f"{STATES}.lance")
"""Names that an otherwise empty folder may contain: of a new file system, and of a creation that was killed."""


def _pictures_schema(dim: int, reader: ReaderFacts) -> pa.Schema:
    columns = [
        ("path", pa.string()),
        ("folder", pa.string()),
        ("content", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("vector", pa.list_(pa.float32(), dim)),
    ]
    return pa.schema(
        columns, metadata={"name": reader.name, "source": reader.source, "fingerprint": reader.fingerprint}
    )


def _texts_schema(dim: int) -> pa.Schema:
    columns = [(field.name, pa.string()) for field in fields(TextFacts)]
    return pa.schema([*columns, ("vector", pa.list_(pa.float32(), dim))])


class LanceDatabase:
    """The database in a library's folder: tables of pictures, texts and states.

    The metadata of `pictures` name the model that read the library. The table of texts may be missing in a library
    without texts.
    """

    def __init__(self, folder: Path) -> None:
        """Opens a library.

        Raises LibraryMissing, LibraryDamaged, or LibraryError for any other reason.
        """
        if not self.exists(folder):
            raise LibraryMissing(
                f"expected a library at {folder}, but there is none yet; "
                f"make one: polyglance index FOLDER --library {shlex.quote(str(folder))}"
            )
        self.folder = folder
        self._tables: dict[str, LanceTable] = {}
        self._texts: LanceVectorStore[TextFacts] | None = None
        pictures = self._open(PICTURES)
        metadata = pictures.latest().schema.metadata or {}
        if any(field.name.encode() not in metadata for field in fields(ReaderFacts)):
            raise LibraryError(
                f"expected a library at {folder}, but its tables were written by another program; name another folder"
            )
        self.reader = ReaderFacts(*(metadata[field.name.encode()].decode() for field in fields(ReaderFacts)))
        self.pictures = LanceVectorStore(pictures, folder, PictureFacts)
        self.states = LanceStateStore(self._open(STATES), folder)

    @property
    def texts(self) -> VectorStore[TextFacts]:
        """The texts; without a table of texts, an empty store that must not be written (`make_texts` makes the
        table)."""
        if not _has_table(self.folder, TEXTS):
            return MemoryVectorStore(self.pictures.dim)
        if self._texts is None:
            self._texts = LanceVectorStore(self._open(TEXTS), self.folder, TextFacts)
        return self._texts

    def _open(self, name: str) -> LanceTable:
        if not _has_table(self.folder, name):
            raise damaged(self.folder, f"{name}.lance is missing")
        with reading(self.folder):
            self._tables[name] = LanceTable(_table_folder(self.folder, name))
        return self._tables[name]

    def make_texts(self) -> VectorStore[TextFacts]:
        """Returns the table of texts, which is created atomically if it is missing. Only the `writer` may call this."""
        if not _has_table(self.folder, TEXTS):
            with writing(self.folder), atomic.whole(_table_folder(self.folder, TEXTS)) as draft:
                LanceTable.create(draft, _texts_schema(self.pictures.dim))
        return self.texts

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is a library, possibly a damaged one. Raises LibraryError if the folder cannot be read."""
        if _has_table(folder, PICTURES):
            return True
        if not _has_table(folder, STATES):
            return False
        if damage_of(folder):
            return True
        with reading(folder):
            return LanceTable(_table_folder(folder, STATES)).latest().count_rows() > 0

    @staticmethod
    def create(folder: Path, dim: int, reader: ReaderFacts) -> None:
        """Creates an empty library atomically, unless there is one already.

        The folder may exist and be empty, such as the top of a drive. If several threads or processes create the same
        library at once, one does so and the others find it.

        folder: of the library. dim: the dimension of its vectors. reader: the model that reads it.

        Raises ConfigurationError if the folder holds anything else, LibraryError if it cannot be written.
        """
        if not is_utf8(str(folder)) or any(unicodedata.category(character) == "Cc" for character in str(folder)):
            raise ConfigurationError(
                f"expected a folder for the library whose path is valid UTF-8 without control characters, got {folder}"
            )
        with writing(folder):
            is_foreign = folder.exists() and not (folder.is_dir() and all(map(_may_become_library, os.listdir(folder))))
            if is_foreign and not LanceDatabase.exists(folder):  # another process may have made one by now
                raise ConfigurationError(f"expected a library or an empty folder, but {folder} holds something else")
            missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
            folder.mkdir(parents=True, exist_ok=True)
        try:
            with _creator(folder) as is_first:
                if is_first:
                    _create(folder, dim, reader)
        except BaseException:
            for parent in missing:
                with suppress(OSError):
                    parent.rmdir()
            raise
        with writing(folder):
            for parent in missing:
                atomic.sync_one(parent.parent)

    def check(self, reader: ReaderFacts, both_bundled: bool = False) -> None:
        """Raises LibraryMismatch, with the command that reads everything anew, unless `reader` read this library.

        both_bundled: whether `reader` and the model that read this library are editions of the bundled model.
        """
        if reader.fingerprint == self.reader.fingerprint:
            return
        this, other = (f"{one.name!r} ({one.fingerprint:.12})" for one in (reader, self.reader))
        wrong = f"the library at {self.folder} was read by {other}, not by {this}"
        if both_bundled:
            wrong = (
                f"the library at {self.folder} was made with an earlier edition of the bundled model, {other}, which "
                f"{this} replaces"
            )
        if not reader.source:
            raise LibraryMismatch(f"{wrong}: open it with that model, or name a new folder for another library")
        folders = sorted({facts.folder for facts in self.pictures.facts()})
        texts = [part for file in sorted({facts.source for facts in self.texts.facts()}) for part in ("--texts", file)]
        named = [*folders, *texts] or ["FOLDER"]
        command = ["polyglance", "index", *named, "--library", str(self.folder), "--model", reader.source]
        raise LibraryMismatch(
            f"{wrong}; to read the pictures again: "
            f"{shlex.join(['rm', '-r', str(self.folder)])} && {shlex.join(command)}"
        )

    @contextmanager
    def writer(self) -> Iterator[None]:
        """A context for the one process that writes to the library. Raises LibraryError if another is in it; a killed
        process leaves it."""
        with _locked(self.folder) as locked:
            if not locked:
                raise LibraryError(
                    f"another run is adding to the library at {self.folder}; wait until it ends and run this again"
                )
            yield

    def tidy(self) -> None:
        """Joins small files and drops old versions; called now and then in a long run, and at its end."""
        with writing(self.folder):
            for table in self._tables.values():
                table.tidy()

    def sync(self) -> None:
        """Returns once everything written is on the disk and safe from a power cut."""
        with writing(self.folder):
            atomic.sync(self.folder)


def _create(folder: Path, dim: int, reader: ReaderFacts) -> None:
    """Creates both tables, that of the pictures last: an empty table of states alone is not a library."""
    with writing(folder):
        for name in os.listdir(folder):
            if atomic.is_draft(name):
                atomic.remove(folder / name)
        for name, schema in ((STATES, STATES_SCHEMA), (PICTURES, _pictures_schema(dim, reader))):
            table = _table_folder(folder, name)
            atomic.remove(table)
            with atomic.whole(table) as draft:
                LanceTable.create(draft, schema)


@contextmanager
def _creator(folder: Path) -> Iterator[bool]:
    """A context that waits for the lock of a folder and gives True to the process that must create the library.

    It gives False if there is a library by then. A failed creation is removed.
    """
    while not LanceDatabase.exists(folder):
        with _locked(folder) as locked:
            if locked and not LanceDatabase.exists(folder):
                try:
                    yield True
                except BaseException:
                    for name in filter(_may_become_library, os.listdir(folder)):
                        if name != "lost+found":
                            with suppress(OSError):
                                atomic.remove(folder / name)
                    raise
                return
        time.sleep(0.01)
    yield False


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """A context that tries to lock a folder and gives whether it did. A killed process releases the lock.

    Raises LibraryError if the drive does not support locks.
    """
    import fcntl

    with writing(folder):
        path = folder / _LOCK
        existed = path.exists()
        lock = path.open("wb")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = os.path.samestat(os.fstat(lock.fileno()), path.stat())
        except (BlockingIOError, FileNotFoundError):  # held by another, or removed by one whose creation failed
            held = False
        except OSError as error:
            if not existed:
                path.unlink(missing_ok=True)
            raise LibraryError(
                f"the drive of the library at {folder} cannot lock files ({error.strerror}), which keeps two runs from "
                "writing at once: choose a folder on another drive with --library"
            ) from error
        yield held


def _table_folder(folder: Path, name: str) -> Path:
    return folder / f"{name}.lance"


def _has_table(folder: Path, name: str) -> bool:
    with reading(folder):
        return _table_folder(folder, name).is_dir()


def _may_become_library(name: str) -> bool:
    return name in _OF_EMPTY_FOLDERS or atomic.is_draft(name)
