"""A library's database and its two kinds of stores: vectors with the facts about what they are of, and token states.

They are apart so that a change of facts never rewrites states. Every implementation passes the same contract suite.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float32

from polyglance.errors import ConfigurationError
from polyglance.types import StoredStates


@dataclass(frozen=True)
class Reader:
    """The model that reads a library.

    source: what loads it again, empty for a model in memory. fingerprint: of its weights.
    """

    name: str
    source: str
    fingerprint: str


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

    @property
    def key(self) -> str:
        return self.path


@dataclass(frozen=True)
class TextFacts:
    """What a library knows about one text of a file of texts.

    id: hash of file and text, the key. content: hash of the text. language: a code, or `auto` where nothing says it.
    source: the file, absolute.
    """

    id: str
    content: str
    text: str
    language: str
    source: str

    @property
    def key(self) -> str:
        return self.id


AnyFacts = TypeVar("AnyFacts", PictureFacts, TextFacts)
"""Their first field is the key; things of one content have the same states and vector."""


@dataclass(frozen=True)
class Hit(Generic[AnyFacts]):
    """What is held near a vector. score: cosine similarity, higher is nearer."""

    facts: AnyFacts
    score: float


@runtime_checkable
class VectorStore(Protocol[AnyFacts]):
    """One row a thing: its facts and a vector of unit length."""

    def __len__(self) -> int: ...
    def facts(self) -> list[AnyFacts]:
        """Of all, sorted by key."""
        ...

    def find(self, key: str) -> AnyFacts | None:
        """Of this one, None if the store does not hold it."""
        ...

    def put(self, facts: Sequence[AnyFacts], vectors: Float32[np.ndarray, "rows dim"]) -> None:
        """Rows that replace those of the same keys; all of them or, when interrupted, none. No key twice.

        Raises ConfigurationError for vectors of another dimension than those held.
        """
        ...

    def remove(self, keys: Collection[str]) -> None:
        """Forget these; a key that is not held is no error."""
        ...

    def search(self, vector: Float32[np.ndarray, " dim"], limit: int) -> list[Hit[AnyFacts]]:
        """The `limit` nearest, best first; equal scores by key.

        limit: at least 1; more than there are rows gives all of them. The hits are the same to the last digit from
            every store, and in every search of one.

        Raises ConfigurationError for a vector of another dimension than those held.
        """
        ...

    def search_all(self, vectors: Float32[np.ndarray, "queries dim"], limit: int) -> list[list[Hit[AnyFacts]]]:
        """What `search` finds for each of the vectors, by one matrix product."""
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


class Database(Protocol):
    """Where a library keeps what its model has read. folder: None where it keeps nothing on a disk."""

    @property
    def folder(self) -> Path | None: ...
    @property
    def reader(self) -> Reader: ...
    @property
    def pictures(self) -> VectorStore[PictureFacts]: ...
    @property
    def texts(self) -> VectorStore[TextFacts]:
        """Not to be written: `make_texts` gives those that can be."""
        ...

    @property
    def states(self) -> StateStore: ...
    def make_texts(self) -> VectorStore[TextFacts]:
        """The texts, to be written by the one `writer`."""
        ...

    def writer(self) -> AbstractContextManager[None]:
        """Held by the one run that adds to the library. Raises LibraryError where another holds it."""
        ...

    def tidy(self) -> None:
        """Called now and then in a long run, and at its end."""
        ...

    def sync(self) -> None:
        """Returns when all that was written is safe from a power cut."""
        ...


def check_dim(expected: int, got: int) -> None:
    """Raises ConfigurationError where vectors of a store and those it is given differ in dimension."""
    if got != expected:
        raise ConfigurationError(
            f"expected vectors of {expected} values, as the library holds, got {got}: "
            "name the model that made the library"
        )
