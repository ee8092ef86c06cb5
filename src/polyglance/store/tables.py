"""The two stores as Lance tables.

The first search of a process scans all vectors on the disk. Later searches use them in memory, which is exact and,
below 100,000 rows, faster than an index.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, cast

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float32

from polyglance.errors import LibraryDamaged
from polyglance.store.failures import reading, writing
from polyglance.store.nearest import ranked, within_reach
from polyglance.store.protocols import AnyFacts, Hit, check_dim
from polyglance.types import StoredStates

if TYPE_CHECKING:
    from polyglance.store.rows import HeldRows

ROWS_HELD: Final = 100_000
"""The most rows that are held in memory; every search scans a larger table on the disk."""
STATES_SCHEMA: Final = pa.schema(
    [
        ("id", pa.string()),
        ("tokens", pa.int32()),
        ("values", pa.binary()),
        ("scales", pa.binary()),
        ("vector", pa.binary()),
    ]
)
_KEPT_VERSIONS: Final = timedelta(minutes=1)
"""The time that another process has to finish a look-up that began before a write."""
_KEYS_A_FILTER: Final = 1000
_SPARE: Final = 32
"""Additional rows of a scan, which usually include all ties with the last row asked for."""


@contextmanager
def _only_writer(version: int) -> Iterator[None]:
    """The lock that Lance holds while it names a version. It has no effect, since the library's `writer` excludes
    others.

    With such a lock Lance renames files instead of linking them, which many drives refuse.
    """
    yield


class LanceTable:
    """A table on the disk, always in its newest version."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._dataset = lance.dataset(path, commit_lock=_only_writer)

    @staticmethod
    def create(path: Path, schema: pa.Schema) -> None:
        lance.write_dataset(schema.empty_table(), path, commit_lock=_only_writer)

    def latest(self) -> lance.LanceDataset:
        """Returns the newest version, as a new object if it changed: a version that a thread reads from stays
        the same."""
        newest = self._dataset.latest_version
        if newest != self._dataset.version:
            self._dataset = self._dataset.checkout_version(newest)
        return self._dataset

    def delete(self, key: str, values: Collection[str]) -> None:
        for chunk in chunks(values):
            self.latest().delete(pc.field(key).isin(chunk))

    def tidy(self) -> None:
        """Joins small files and drops old versions."""
        dataset = self.latest()
        dataset.optimize.compact_files()
        dataset.cleanup_old_versions(_KEPT_VERSIONS)


class LanceVectorStore(Generic[AnyFacts]):
    """The `VectorStore` of a table.

    kind: the class of its facts; the fields are the table's columns, the key first.
    """

    def __init__(self, table: LanceTable, folder: Path, kind: type[AnyFacts]) -> None:
        self._table = table
        self._folder = folder
        self._kind: type[AnyFacts] = kind
        self._columns = [field.name for field in fields(cast("Any", kind))]
        self._key = self._columns[0]
        self._schema = table.latest().schema
        self.dim = self._schema.field("vector").type.list_size
        self._searched = -1
        self._held: HeldRows | None = None

    def __len__(self) -> int:
        with reading(self._folder):
            return self._table.latest().count_rows()

    def facts(self) -> list[AnyFacts]:
        with reading(self._folder):
            rows = self._table.latest().to_table(columns=self._columns).to_pylist()
        return sorted((self._kind(**row) for row in rows), key=lambda facts: facts.key)

    def find(self, key: str) -> AnyFacts | None:
        with reading(self._folder):
            matching = pc.field(self._key) == key
            rows = self._table.latest().to_table(columns=self._columns, filter=matching).to_pylist()
        return self._kind(**rows[0]) if rows else None

    def put(self, facts: Sequence[AnyFacts], vectors: Float32[np.ndarray, "rows dim"]) -> None:
        check_dim(self.dim, vectors.shape[1])
        columns: list[Any] = [[getattr(row, column) for row in facts] for column in self._columns]
        values = pa.array(np.ascontiguousarray(vectors).reshape(-1))
        columns.append(pa.FixedSizeListArray.from_arrays(values, vectors.shape[1]))
        rows = pa.table(dict(zip([*self._columns, "vector"], columns, strict=True)), schema=self._schema)
        with writing(self._folder):
            merge = self._table.latest().merge_insert(self._key)
            merge.when_matched_update_all().when_not_matched_insert_all().execute(rows)

    def remove(self, keys: Collection[str]) -> None:
        with writing(self._folder):
            self._table.delete(self._key, keys)

    def search(self, vector: Float32[np.ndarray, " dim"], limit: int) -> list[Hit[AnyFacts]]:
        return self.search_all(vector[None], limit)[0]

    def search_all(self, vectors: Float32[np.ndarray, "queries dim"], limit: int) -> list[list[Hit[AnyFacts]]]:
        check_dim(self.dim, vectors.shape[1])
        with reading(self._folder):
            held = self._rows(len(vectors))
            found = held.nearest(vectors, limit) if held else [self._scan(vector, limit) for vector in vectors]
        return [
            ranked([self._kind(**row) for row in rows.to_pylist()], near, vector, limit)
            for vector, (rows, near) in zip(vectors, found, strict=True)
        ]

    def _scan(
        self, vector: Float32[np.ndarray, " dim"], limit: int
    ) -> tuple[pa.Table, Float32[np.ndarray, "places dim"]]:
        """Scans the disk for all rows that may be among the `limit` nearest and returns their facts and vectors."""
        dataset = self._table.latest()
        total = dataset.count_rows()
        asked = min(limit + _SPARE, total)
        columns = [*self._columns, "vector", "_distance"]
        while True:
            nearest = {"column": "vector", "q": vector, "k": max(1, asked), "metric": "dot", "use_index": False}
            rows = dataset.to_table(columns=columns, nearest=nearest)
            places = within_reach(1 - rows["_distance"].to_numpy(), limit)
            if len(places) < asked or asked >= total:  # then no row that ties with the last one is missing
                return rows.select(self._columns).take(places), _vectors_of(rows)[places]
            asked *= 4

    def _rows(self, searches: int) -> "HeldRows | None":
        """Returns the rows in memory, or None to scan the disk.

        The first search after a write by any process returns None, so that a single search does not wait for loading.

        searches: the number of searches to come now.
        """
        dataset, held = self._table.latest(), self._held
        if held and held.version == dataset.version:
            return held
        self._held = None
        if (searches > 1 or dataset.version == self._searched) and dataset.count_rows() <= ROWS_HELD:
            from polyglance.store.rows import HeldRows

            rows = dataset.to_table()
            self._held = HeldRows.of(dataset.version, rows.select(self._columns), _vectors_of(rows))
        self._searched = dataset.version
        return self._held


class LanceStateStore:
    """The `StateStore` of a table."""

    def __init__(self, table: LanceTable, folder: Path) -> None:
        self._table = table
        self._folder = folder

    def ids(self) -> set[str]:
        with reading(self._folder):
            return set(self._table.latest().to_table(columns=["id"])["id"].to_pylist())

    def put(self, states: Mapping[str, StoredStates]) -> None:
        columns = [
            list(states),
            [len(row.scales) for row in states.values()],
            [row.values.tobytes() for row in states.values()],
            [row.scales.tobytes() for row in states.values()],
            [None if row.vector is None else row.vector.tobytes() for row in states.values()],
        ]
        rows = pa.table(dict(zip(STATES_SCHEMA.names, columns, strict=True)), schema=STATES_SCHEMA)
        with writing(self._folder):
            self._table.latest().merge_insert("id").when_not_matched_insert_all().execute(rows)

    def get(self, ids: Sequence[str]) -> list[StoredStates]:
        found: dict[str, StoredStates] = {}
        with reading(self._folder):
            for chunk in chunks(ids):
                rows = self._table.latest().to_table(filter=pc.field("id").isin(chunk))
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
        with writing(self._folder):
            self._table.delete("id", ids)


def _vectors_of(table: pa.Table) -> Float32[np.ndarray, "rows dim"]:
    vectors: Float32[np.ndarray, "rows dim"] = table["vector"].combine_chunks().flatten().to_numpy()
    return vectors.reshape(-1, table.schema.field("vector").type.list_size)


def chunks(keys: Collection[str]) -> Iterator[list[str]]:
    """Yields the distinct keys in chunks that fit one filter."""
    distinct = sorted(set(keys))
    return (distinct[start : start + _KEYS_A_FILTER] for start in range(0, len(distinct), _KEYS_A_FILTER))


def _states(tokens: int, values: pa.Scalar, scales: pa.Scalar, vector: pa.Scalar) -> StoredStates:
    """Makes states that are views of Lance's memory."""
    return StoredStates(
        np.frombuffer(values.as_buffer(), np.int8).reshape(tokens, -1),
        np.frombuffer(scales.as_buffer(), np.float16),
        np.frombuffer(vector.as_buffer(), np.float32) if vector.is_valid else None,
    )
