"""The protocols of a library's database and its two kinds of stores: vectors with facts, and token states.

They are separate so that a change of facts never rewrites states. All implementations pass the same contract tests.
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
class ReaderFacts:
    """The facts about the model that reads a library.

    name: of the model. source: the name or folder that loads it, empty for a model in memory. fingerprint: a hash of
    its weights.
    """

    name: str
    source: str
    fingerprint: str


@dataclass(frozen=True)
class PictureFacts:
    """The facts about one picture file.

    path: absolute, the key. folder: the folder that was indexed. content: a hash of the file's bytes. size: of the file
    in bytes. mtime_ns: its modification time in nanoseconds since the epoch. width, height: of the upright picture in
    pixels.
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
    """The facts about one text from a file of texts.

    id: a hash of file and text, the key. content: a hash of the text. text: the text. language: its code, or `auto` if
    it is unknown. source: the absolute path of the file.
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
"""Facts. The first field is the key; entries with equal content have the same states and vector."""


@dataclass(frozen=True)
class Hit(Generic[AnyFacts]):
    """A result of a search. score: the cosine similarity; higher is nearer."""

    facts: AnyFacts
    score: float


@runtime_checkable
class VectorStore(Protocol[AnyFacts]):
    """Rows of facts with a vector of unit length."""

    def __len__(self) -> int: ...
    def facts(self) -> list[AnyFacts]:
        """Returns the facts of all rows, sorted by key."""
        ...

    def find(self, key: str) -> AnyFacts | None:
        """Returns the facts of a row, or None if there is none with this key."""
        ...

    def put(self, facts: Sequence[AnyFacts], vectors: Float32[np.ndarray, "rows dim"]) -> None:
        """Adds rows and replaces those with the same keys; if interrupted, none of them.

        facts: without repeated keys. vectors: of unit length.

        Raises ConfigurationError if the vectors have another dimension than the store's.
        """
        ...

    def remove(self, keys: Collection[str]) -> None:
        """Removes rows; unknown keys are ignored."""
        ...

    def search(self, vector: Float32[np.ndarray, " dim"], limit: int) -> list[Hit[AnyFacts]]:
        """Returns the `limit` nearest rows, best first; rows with equal scores are sorted by key.

        The hits are identical to the last digit in all stores and all searches.

        limit: at least 1; all rows are returned if there are fewer.

        Raises ConfigurationError if the vector has another dimension than the store's.
        """
        ...

    def search_all(self, vectors: Float32[np.ndarray, "queries dim"], limit: int) -> list[list[Hit[AnyFacts]]]:
        """Returns the results of `search` for each vector, computed by one matrix product."""
        ...


@runtime_checkable
class StateStore(Protocol):
    """Token states by the hash of the content that they were read from."""

    def ids(self) -> set[str]: ...
    def put(self, states: Mapping[str, StoredStates]) -> None:
        """Adds states; if interrupted, none of them. The states of an existing id are not replaced."""
        ...

    def get(self, ids: Sequence[str]) -> list[StoredStates]:
        """Returns states in the order of `ids`, which may repeat. Raises LibraryDamaged if one is missing."""
        ...

    def remove(self, ids: Collection[str]) -> None:
        """Removes states; unknown ids are ignored."""
        ...


class Database(Protocol):
    """The storage of a library.

    folder: on the disk; None for a database in memory. reader: the model that reads the library. pictures, texts,
    states: the stores.
    """

    @property
    def folder(self) -> Path | None: ...
    @property
    def reader(self) -> ReaderFacts: ...
    @property
    def pictures(self) -> VectorStore[PictureFacts]: ...
    @property
    def texts(self) -> VectorStore[TextFacts]:
        """The texts, for reading only; `make_texts` returns a store to write."""
        ...

    @property
    def states(self) -> StateStore: ...
    def make_texts(self) -> VectorStore[TextFacts]:
        """Returns the texts as a store that the `writer` may write."""
        ...

    def writer(self) -> AbstractContextManager[None]:
        """A context for the one run that writes to the library. Raises LibraryError if another run is in it."""
        ...

    def tidy(self) -> None:
        """Tidies the storage; called now and then in a long run, and at its end."""
        ...

    def sync(self) -> None:
        """Returns once everything written is safe from a power cut."""
        ...


def check_dim(expected: int, got: int) -> None:
    """Raises ConfigurationError unless new vectors have the dimension of a store's."""
    if got != expected:
        raise ConfigurationError(
            f"expected vectors of {expected} values, as the library holds, got {got}: "
            "name the model that made the library"
        )
