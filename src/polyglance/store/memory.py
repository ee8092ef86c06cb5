"""A database in memory, for pools that are evaluated once, for questions without a library, and for tests."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Generic

import numpy as np
from jaxtyping import Float32

from polyglance.errors import LibraryDamaged
from polyglance.store.nearest import ranked, within_reach
from polyglance.store.protocols import AnyFacts, Hit, PictureFacts, ReaderFacts, TextFacts, check_dim
from polyglance.types import StoredStates


class MemoryVectorStore(Generic[AnyFacts]):
    """A `VectorStore` in a dictionary, searched by one matrix product.

    dim: of the vectors.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._rows: dict[str, tuple[AnyFacts, Float32[np.ndarray, " dim"]]] = {}
        self._matrix: Float32[np.ndarray, "rows dim"] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def facts(self) -> list[AnyFacts]:
        return [self._rows[key][0] for key in sorted(self._rows)]

    def find(self, key: str) -> AnyFacts | None:
        row = self._rows.get(key)
        return row[0] if row else None

    def put(self, facts: Sequence[AnyFacts], vectors: Float32[np.ndarray, "rows dim"]) -> None:
        check_dim(self._dim, vectors.shape[1])
        self._rows |= {row.key: (row, vector) for row, vector in zip(facts, vectors, strict=True)}
        self._matrix = None

    def remove(self, keys: Collection[str]) -> None:
        for key in keys:
            self._rows.pop(key, None)
        self._matrix = None

    def search(self, vector: Float32[np.ndarray, " dim"], limit: int) -> list[Hit[AnyFacts]]:
        return self.search_all(vector[None], limit)[0]

    def search_all(self, vectors: Float32[np.ndarray, "queries dim"], limit: int) -> list[list[Hit[AnyFacts]]]:
        check_dim(self._dim, vectors.shape[1])
        if self._matrix is None:
            self._matrix = np.array([row for _, row in self._rows.values()], np.float32).reshape(-1, self._dim)
        facts = [row for row, _ in self._rows.values()]
        near = [within_reach(scores, limit) for scores in vectors @ self._matrix.T]
        return [
            ranked([facts[place] for place in places], self._matrix[places], vector, limit)
            for vector, places in zip(vectors, near, strict=True)
        ]


class MemoryStateStore:
    """A `StateStore` in a dictionary."""

    def __init__(self) -> None:
        self._states: dict[str, StoredStates] = {}

    def ids(self) -> set[str]:
        return set(self._states)

    def put(self, states: Mapping[str, StoredStates]) -> None:
        self._states = {**states, **self._states}

    def get(self, ids: Sequence[str]) -> list[StoredStates]:
        missing = [key for key in ids if key not in self._states]
        if missing:
            raise LibraryDamaged(f"expected the token states of {len(ids)} pictures, but {len(missing)} are missing")
        return [self._states[key] for key in ids]

    def remove(self, ids: Collection[str]) -> None:
        for key in ids:
            self._states.pop(key, None)


@dataclass(eq=False)
class MemoryDatabase:
    """A `Database` that is lost when the process ends.

    dim: of its vectors. reader: the model that reads it.
    """

    dim: int
    reader: ReaderFacts
    folder: None = None
    pictures: MemoryVectorStore[PictureFacts] = field(init=False)
    texts: MemoryVectorStore[TextFacts] = field(init=False)
    states: MemoryStateStore = field(init=False, default_factory=MemoryStateStore)

    def __post_init__(self) -> None:
        self.pictures, self.texts = MemoryVectorStore(self.dim), MemoryVectorStore(self.dim)

    def make_texts(self) -> MemoryVectorStore[TextFacts]:
        return self.texts

    def writer(self) -> AbstractContextManager[None]:
        return nullcontext()

    def tidy(self) -> None:
        """Nothing to do."""

    def sync(self) -> None:
        """Nothing to do."""
