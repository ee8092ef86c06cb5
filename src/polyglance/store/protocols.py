"""The two stores of a library: vectors with the facts about their files, and token states.

They are apart so that a change of facts never rewrites states. Every implementation passes the same contract suite.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from polyglance.types import StoredStates


@dataclass(frozen=True)
class PictureFacts:
    """What a library knows about one picture file.

    path: absolute, the key. folder: the one that was named when it was read. content: hash of the file's bytes.
    size: bytes. mtime_ns: nanoseconds since the epoch. width, height: upright, in pixels.
    """

    path: str
    folder: str
    content: str
    size: int
    mtime_ns: int
    width: int
    height: int


@dataclass(frozen=True)
class Hit:
    """A stored picture near a vector. score: cosine similarity, higher is nearer."""

    path: str
    content: str
    score: float


@runtime_checkable
class VectorStore(Protocol):
    """One row a picture file: its facts and a vector of unit length. Files of one content have the same vector."""

    def __len__(self) -> int: ...
    def facts(self) -> list[PictureFacts]:
        """Of every file, sorted by path."""
        ...

    def find(self, path: str) -> PictureFacts | None:
        """Of this file, None if the store does not hold it."""
        ...

    def put(self, facts: Sequence[PictureFacts], vectors: Float32[np.ndarray, "pictures dim"]) -> None:
        """Rows that replace those of the same paths; all of them or, when interrupted, none. No path twice."""
        ...

    def remove(self, paths: Collection[str]) -> None:
        """Forget these files; a path that is not held is no error."""
        ...

    def search(self, vector: Float32[np.ndarray, " dim"], limit: int) -> list[Hit]:
        """The `limit` nearest files, best first; equal scores by path."""
        ...


@runtime_checkable
class StateStore(Protocol):
    """Token states by the hash of the content they were read from."""

    def ids(self) -> set[str]: ...
    def put(self, states: Mapping[str, StoredStates]) -> None:
        """Keep these; an id that is held already keeps what it has. All of them or, when interrupted, none."""
        ...

    def get(self, ids: Sequence[str]) -> list[StoredStates]:
        """In the order asked for; an id may be asked for twice. Raises LibraryDamaged when one is not held."""
        ...

    def remove(self, ids: Collection[str]) -> None:
        """Forget these; an id that is not held is no error."""
        ...
