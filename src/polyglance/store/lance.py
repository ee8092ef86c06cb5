"""Both stores in one LanceDB database, a folder on disk.

Two traps of LanceDB are answered by `LanceDatabase`: every write leaves a version behind (`tidy`), and nothing is ever
synced to the disk (`sync`). A first search scans all vectors on the disk; those that follow it in a process find them
in memory, which under 100,000 rows is faster than an index, and exact.
"""

import os
import shlex
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Generic, cast

import lancedb
import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Float32
from lancedb.expr import col
from lancedb.query import LanceVectorQueryBuilder
from lancedb.table import Table
from torch import Tensor

from polyglance.errors import (
    ConfigurationError,
    LibraryDamaged,
    LibraryError,
    LibraryMismatch,
    LibraryMissing,
    reason_of,
)
from polyglance.store.memory import MemoryVectorStore
from polyglance.store.nearest import ranked, within_reach
from polyglance.store.protocols import AnyFacts, Hit, PictureFacts, TextFacts, VectorStore
from polyglance.types import StoredStates

PICTURES: Final = "pictures"
TEXTS: Final = "texts"
STATES: Final = "states"
_LOCK: Final = "writer.lock"
_KEPT_VERSIONS: Final = timedelta(minutes=1)
"""How long another process may take for one look-up that began before a write."""
_KEYS_A_FILTER: Final = 1000
_SPARE: Final = 32
"""Rows beyond those asked for that a scan takes along: those that tie with the last one are mostly among them."""
ROWS_HELD: Final = 100_000
"""A table of more is scanned on the disk by every search."""
_STATES_SCHEMA: Final = pa.schema(
    [
        ("id", pa.string()),
        ("tokens", pa.int32()),
        ("values", pa.binary()),
        ("scales", pa.binary()),
        ("vector", pa.binary()),
    ]
)


@dataclass(frozen=True)
class Reader:
    """The model that reads a library. source: what loads it, a name or a folder. fingerprint: of its weights."""

    name: str
    source: str
    fingerprint: str


def _pictures_schema(dim: int, reader: Reader) -> pa.Schema:
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
    """A library's folder: tables of pictures, texts and states, and in the metadata of `pictures` the model that read
    them. A library that was never given texts may have no table of them."""

    def __init__(self, folder: Path) -> None:
        """Raises LibraryMissing, LibraryDamaged."""
        present = [name for name in (PICTURES, STATES) if _table_folder(folder, name).is_dir()]
        if not present:
            raise LibraryMissing(
                f"expected a library at {folder}, but there is none yet; "
                f"make one: polyglance index FOLDER --library {shlex.quote(str(folder))}"
            )
        self.folder = folder
        with _reading(folder):
            connection = lancedb.connect(folder, read_consistency_interval=timedelta(0))
            self._tables = {name: connection.open_table(name) for name in (PICTURES, STATES)}
            schema = self._tables[PICTURES].schema
            self.reader = Reader(*(schema.metadata[field.name.encode()].decode() for field in fields(Reader)))
            self._dim = schema.field("vector").type.list_size
        self._connection = connection
        self.pictures = LanceVectorStore(self._tables[PICTURES], folder, PictureFacts)
        self._texts: LanceVectorStore[TextFacts] | None = None
        self.states = LanceStateStore(self._tables[STATES], folder)

    @property
    def texts(self) -> VectorStore[TextFacts]:
        """Empty, and not to be written, where there is no table of texts: `make_texts` makes it."""
        if not _table_folder(self.folder, TEXTS).is_dir():
            return MemoryVectorStore(self._dim)
        if self._texts is None:
            with _reading(self.folder):
                self._tables[TEXTS] = self._connection.open_table(TEXTS)
            self._texts = LanceVectorStore(self._tables[TEXTS], self.folder, TextFacts)
        return self._texts

    def make_texts(self) -> VectorStore[TextFacts]:
        """The table of texts, made whole or not at all where there is none; for the one `writer`."""
        made = _table_folder(self.folder, TEXTS)
        if not made.is_dir():
            draft = self.folder / f".{TEXTS}.new"
            with _writing(self.folder):
                shutil.rmtree(draft, ignore_errors=True)
                lancedb.connect(draft).create_table(TEXTS, schema=_texts_schema(self._dim))
                _table_folder(draft, TEXTS).rename(made)
                shutil.rmtree(draft)
        return self.texts

    @staticmethod
    def exists(folder: Path) -> bool:
        return any(_table_folder(folder, name).is_dir() for name in (PICTURES, STATES))

    @staticmethod
    def create(folder: Path, dim: int, reader: Reader) -> None:
        """An empty library of vectors of `dim` values, where there is nothing or an empty folder: whole or not at all.

        Raises ConfigurationError where there is anything else.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigurationError(f"expected a library or an empty folder, but {folder} holds something else")
        draft = folder.with_name(f".{folder.name}.{os.getpid()}.new")
        with _writing(folder):
            shutil.rmtree(draft, ignore_errors=True)
            connection = lancedb.connect(draft)
            connection.create_table(PICTURES, schema=_pictures_schema(dim, reader))
            connection.create_table(STATES, schema=_STATES_SCHEMA)
            _sync(draft)
            draft.rename(folder)

    def check(self, reader: Reader) -> None:
        """Raises LibraryMismatch, with the command that reads everything anew, unless `reader` read this library."""
        if reader.fingerprint == self.reader.fingerprint:
            return
        folders = sorted({facts.folder for facts in self.pictures.facts()})
        texts = [part for file in sorted({facts.source for facts in self.texts.facts()}) for part in ("--texts", file)]
        named = [*folders, *texts] or ["FOLDER"]
        command = ["polyglance", "index", *named, "--library", str(self.folder), "--model", reader.source]
        raise LibraryMismatch(
            f"the library at {self.folder} was read by {self.reader.name!r} ({self.reader.fingerprint:.12}), "
            f"not by {reader.name!r} ({reader.fingerprint:.12}); to read the pictures again: "
            f"{shlex.join(['rm', '-r', str(self.folder)])} && {shlex.join(command)}"
        )

    @contextmanager
    def writer(self) -> Iterator[None]:
        """The one process that adds to the library; another is turned away with LibraryError. A kill frees it."""
        import fcntl

        with _writing(self.folder):
            lock = open(self.folder / _LOCK, "wb")  # noqa: SIM115
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LibraryError(
                    f"another run is adding to the library at {self.folder}; wait until it ends and run this again"
                ) from error
            yield

    def tidy(self) -> None:
        """Join small files and drop old versions: now and then in a long run, and at its end."""
        with _writing(self.folder):
            for table in self._tables.values():
                table.optimize(cleanup_older_than=_KEPT_VERSIONS)

    def sync(self) -> None:
        """Return when all that was written is on the disk, safe from a power cut."""
        with _writing(self.folder):
            _sync(self.folder)


class LanceVectorStore(Generic[AnyFacts]):
    """The `VectorStore` of a database's table. kind: of its facts, whose fields are its columns, the key first."""

    def __init__(self, table: Table, folder: Path, kind: type[AnyFacts]) -> None:
        self._table = table
        self._folder = folder
        self._kind: type[AnyFacts] = kind
        self._columns = [field.name for field in fields(cast("Any", kind))]
        self._key = self._columns[0]
        self._searched = -1
        self._held: _Rows | None = None

    def __len__(self) -> int:
        with _reading(self._folder):
            return self._table.count_rows()

    def facts(self) -> list[AnyFacts]:
        with _reading(self._folder):
            rows = self._table.search().select(self._columns).limit(None).to_list()
        return sorted((self._kind(**row) for row in rows), key=lambda facts: facts.key)

    def find(self, key: str) -> AnyFacts | None:
        with _reading(self._folder):
            rows = self._table.search().where(col(self._key) == key).select(self._columns).limit(1).to_list()
        return self._kind(**rows[0]) if rows else None

    def put(self, facts: Sequence[AnyFacts], vectors: Float32[np.ndarray, "rows dim"]) -> None:
        columns: list[Any] = [[getattr(row, column) for row in facts] for column in self._columns]
        values = pa.array(np.ascontiguousarray(vectors).reshape(-1))
        columns.append(pa.FixedSizeListArray.from_arrays(values, vectors.shape[1]))
        with _writing(self._folder):
            rows = pa.table(dict(zip([*self._columns, "vector"], columns, strict=True)), schema=self._table.schema)
            self._table.merge_insert(self._key).when_matched_update_all().when_not_matched_insert_all().execute(rows)

    def remove(self, keys: Collection[str]) -> None:
        with _writing(self._folder):
            _delete(self._table, self._key, keys)

    def search(self, vector: Float32[np.ndarray, " dim"], limit: int) -> list[Hit[AnyFacts]]:
        with _reading(self._folder):
            held = self._rows()
            rows, vectors = held.nearest(vector, limit) if held else self._scan(vector, limit)
        return ranked([self._kind(**row) for row in rows.to_pylist()], vectors, vector, limit)

    def _scan(
        self, vector: Float32[np.ndarray, " dim"], limit: int
    ) -> tuple[pa.Table, Float32[np.ndarray, "places dim"]]:
        """Facts and vectors of all rows that may be among the `limit` nearest, found on the disk."""
        total = len(self)
        asked = min(limit + _SPARE, total)
        while True:
            query = cast("LanceVectorQueryBuilder", self._table.search(vector, vector_column_name="vector"))
            chosen = query.distance_type("dot").select([*self._columns, "vector", "_distance"]).limit(max(1, asked))
            rows = chosen.to_arrow()
            places = within_reach(1 - rows["_distance"].to_numpy(), limit)
            if len(places) < asked or asked >= total:  # none that ties with the last of them is left out
                return rows.select(self._columns).take(places), _vectors(rows)[places]
            asked *= 4

    def _rows(self) -> "_Rows | None":
        """The table in memory; None in the first search since it was written to, by this process or another, so that a
        single search does not wait for it."""
        version, held = self._table.version, self._held
        if held and held.version == version:
            return held
        self._held = None
        if version == self._searched and len(self) <= ROWS_HELD:
            self._held = _Rows.of(version, self._table.to_arrow())
        self._searched = version
        return self._held


@dataclass(frozen=True, eq=False)
class _Rows:
    """What a table of vectors holds. version: of the table, or an earlier one.

    The product is torch's: NumPy's threads go on spinning when theirs is done, and a rerank behind it takes twice as
    long.
    """

    version: int
    facts: pa.Table
    vectors: Float[Tensor, "rows dim"]

    @classmethod
    def of(cls, version: int, table: pa.Table) -> "_Rows":
        held = torch.from_numpy(_vectors(table).copy())
        return cls(version, table.drop_columns("vector").combine_chunks(), held)

    def nearest(
        self, vector: Float32[np.ndarray, " dim"], limit: int
    ) -> tuple[pa.Table, Float32[np.ndarray, "places dim"]]:
        """Facts and vectors of all rows that may be among the `limit` nearest."""
        places = within_reach((self.vectors @ torch.from_numpy(vector)).numpy(), limit)
        return self.facts.take(places), self.vectors.numpy()[places]


class LanceStateStore:
    """The `StateStore` of a database's table `states`."""

    def __init__(self, table: Table, folder: Path) -> None:
        self._table = table
        self._folder = folder

    def ids(self) -> set[str]:
        with _reading(self._folder):
            return set(self._table.search().select(["id"]).limit(None).to_arrow()["id"].to_pylist())

    def put(self, states: Mapping[str, StoredStates]) -> None:
        columns = [
            list(states),
            [len(row.scales) for row in states.values()],
            [row.values.tobytes() for row in states.values()],
            [row.scales.tobytes() for row in states.values()],
            [None if row.vector is None else row.vector.tobytes() for row in states.values()],
        ]
        with _writing(self._folder):
            rows = pa.table(dict(zip(_STATES_SCHEMA.names, columns, strict=True)), schema=_STATES_SCHEMA)
            self._table.merge_insert("id").when_not_matched_insert_all().execute(rows)

    def get(self, ids: Sequence[str]) -> list[StoredStates]:
        found: dict[str, StoredStates] = {}
        with _reading(self._folder):
            for chunk in _chunks(ids):
                rows = self._table.search().where(col("id").isin(chunk)).limit(None).to_arrow()
                columns = (rows["tokens"].to_pylist(), rows["values"], rows["scales"], rows["vector"])
                found |= zip(rows["id"].to_pylist(), map(_states, *columns), strict=True)
        missing = set(ids) - found.keys()
        if missing:
            raise LibraryDamaged(
                f"the library at {self._folder} has lost the token states of {len(missing)} pictures or texts; "
                "index their folders or files again and they are read anew"
            )
        return [found[key] for key in ids]

    def remove(self, ids: Collection[str]) -> None:
        with _writing(self._folder):
            _delete(self._table, "id", ids)


def _vectors(table: pa.Table) -> Float32[np.ndarray, "rows dim"]:
    vectors: Float32[np.ndarray, "rows dim"] = table["vector"].combine_chunks().flatten().to_numpy()
    return vectors.reshape(-1, table.schema.field("vector").type.list_size)


def _table_folder(folder: Path, name: str) -> Path:
    return folder / f"{name}.lance"


def _chunks(keys: Collection[str]) -> Iterator[list[str]]:
    """Each key once, as many at a time as one filter should hold."""
    distinct = sorted(set(keys))
    return (distinct[start : start + _KEYS_A_FILTER] for start in range(0, len(distinct), _KEYS_A_FILTER))


def _delete(table: Table, key: str, values: Collection[str]) -> None:
    for chunk in _chunks(values):
        table.delete(col(key).isin(chunk))


def _states(tokens: int, values: pa.Scalar, scales: pa.Scalar, vector: pa.Scalar) -> StoredStates:
    """Views of the memory that LanceDB answered with."""
    return StoredStates(
        np.frombuffer(values.as_buffer(), np.int8).reshape(tokens, -1),
        np.frombuffer(scales.as_buffer(), np.float16),
        np.frombuffer(vector.as_buffer(), np.float32) if vector.is_valid else None,
    )


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """LanceDB meets torn files with errors of many types, some of them Rust panics."""
    try:
        yield
    except Exception as error:
        raise LibraryDamaged(
            f"the library at {folder} cannot be read, its files are torn or missing ({_short(error)}); "
            f"remove it and index again: {shlex.join(['rm', '-r', str(folder)])} && "
            f"{shlex.join(['polyglance', 'index', 'FOLDER', '--library', str(folder)])}"
        ) from error


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise LibraryError(
            f"the library at {folder} cannot be written ({_short(error)}); what it holds is kept: "
            "see whether the disk is full or the folder write-protected, and run this again"
        ) from error


def _short(error: Exception) -> str:
    """The first line, without the place in LanceDB's own source."""
    return reason_of(error).split(", /")[0]


def _sync(folder: Path) -> None:
    paths = [path for parent, _, names in os.walk(folder) for path in [parent, *(f"{parent}/{name}" for name in names)]]
    with ThreadPoolExecutor(16) as pool:  # a file system commits together what is synced together
        list(pool.map(_sync_one, paths))


def _sync_one(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
