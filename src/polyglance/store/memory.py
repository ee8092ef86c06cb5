"""Both stores in memory: for pools of pictures that are measured once, and for tests."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float32

from polyglance.errors import LibraryDamaged
from polyglance.store.protocols import Hit, PictureFacts
from polyglance.types import StoredStates


class MemoryVectorStore:
    """A `VectorStore` of a dictionary, searched by one matrix product."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._rows: dict[str, tuple[PictureFacts, Float32[np.ndarray, " dim"]]] = {}
        self._matrix: Float32[np.ndarray, "pictures dim"] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def facts(self) -> list[PictureFacts]:
        return [self._rows[path][0] for path in sorted(self._rows)]

    def find(self, path: str) -> PictureFacts | None:
        row = self._rows.get(path)
        return row[0] if row else None

    def put(self, facts: Sequence[PictureFacts], vectors: Float32[np.ndarray, "pictures dim"]) -> None:
        self._rows |= {row.path: (row, vector) for row, vector in zip(facts, vectors, strict=True)}
        self._matrix = None

    def remove(self, paths: Collection[str]) -> None:
        for path in paths:
            self._rows.pop(path, None)
        self._matrix = None

    def search(self, vector: Float32[np.ndarray, " dim"], limit: int) -> list[Hit]:
        if self._matrix is None:
            self._matrix = np.array([row for _, row in self._rows.values()], np.float32).reshape(-1, self._dim)
        hits = [
            Hit(facts.path, facts.content, float(score))
            for (facts, _), score in zip(self._rows.values(), self._matrix @ vector, strict=True)
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.path))[:limit]


class MemoryStateStore:
    """A `StateStore` of a dictionary."""

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
