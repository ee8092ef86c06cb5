"""Reads picture files with a model, a few batches at once in threads. States and vectors come out in order."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final, TypeVar

import numpy as np
import torch
from jaxtyping import Float32

from polyglance.data.images import picture_stat
from polyglance.errors import PictureError, reason_of
from polyglance.indexing.missing import root_of
from polyglance.kernels.threads import sharing_threads
from polyglance.models.protocol import Embedder, Picture
from polyglance.nn.states import TokenStates
from polyglance.query import is_utf8
from polyglance.store.protocols import PictureFacts
from polyglance.types import StoredStates

BATCH: Final = 16
_WORKERS: Final = 8
"""The largest number of workers. They share torch's threads, which are the one setting for decoding and reading."""
_Result = TypeVar("_Result")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failed:
    """A file that could not be read.

    changed: whether what the library holds for this path is known to be out of date.
    """

    path: str
    reason: str
    changed: bool


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A file that is ready for the model.

    picture: the opened picture; None if its content has already been read.
    """

    facts: PictureFacts
    picture: Picture | None


@dataclass(frozen=True, eq=False)
class ReadBatch:
    """The results of reading a batch of files.

    facts: the facts of the files that belong in the library. failed: the other files. states, vectors: the states and
    vectors of new contents, by content.
    """

    facts: Sequence[PictureFacts]
    failed: Sequence[Failed]
    states: Mapping[str, StoredStates]
    vectors: Mapping[str, Float32[np.ndarray, " dim"]]

    def __len__(self) -> int:
        return len(self.facts) + len(self.failed)


@dataclass(frozen=True)
class _Contents:
    """The states and vectors of pictures by content, and the reasons why the model refused others."""

    states: dict[str, StoredStates] = field(default_factory=dict)
    vectors: dict[str, Float32[np.ndarray, " dim"]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class PictureReading:
    """Reads picture files for a library.

    model: reads new contents. roots: the named folders. known: the pictures of the library, by path. sizes: the width
    and height of each content whose states the library holds.
    """

    def __init__(
        self,
        model: Embedder,
        roots: Sequence[str],
        known: Mapping[str, PictureFacts],
        sizes: Mapping[str, tuple[int, int]],
    ) -> None:
        self._model = model
        self._roots = set(roots)
        self._known = known
        self._sizes = dict(sizes)

    def read(self, paths: Sequence[str]) -> Iterator[ReadBatch]:
        """Yields batches of the files in order. A content that several files share is read once, with the first one.

        If the model refuses a picture, its batch is halved until the picture is found, so that it fails alone. Running
        out of memory ends the reading.
        """
        workers = min(_WORKERS, torch.get_num_threads())
        refused: dict[str, str] = {}
        with sharing_threads(workers) as pool:  # in all threads, the parts of one batch would wait for each other
            prepared = _ahead(pool, (partial(self._prepare, path) for path in paths), 2 * BATCH)
            sizes = batch_sizes(len(paths), workers)
            readings = (self._reading(list(islice(prepared, size))) for size in sizes)
            for batch, contents in _ahead(pool, readings, workers + 1):
                refused |= contents.refused
                yield self._finished(batch, contents, refused)

    def embedded(self, states: Sequence[StoredStates]) -> Float32[np.ndarray, "pictures dim"]:
        """Embeds stored states. The vector of a picture does not depend on when the picture was read."""
        return self._model.embed(TokenStates.load(states, "image", self._model.device)).float().cpu().numpy()

    def _prepare(self, path: str) -> _Prepared | Failed:
        """Runs in worker threads."""
        changed = False
        try:
            if not is_utf8(path):
                raise PictureError("its name is not valid UTF-8; rename it")
            picture_stat(path)
            stamp = self._model.identity.stamp(path)
            content = self._model.key(path)
            changed = self._has_changed(path, content)
            size, picture = self._sizes.get(content), None
            if size is None:
                picture = self._model.open(path)
                size = picture.size
        except PictureError as error:
            return Failed(path, str(error), changed)
        folder = root_of(path, self._roots) or path
        return _Prepared(PictureFacts(path, folder, content, *stamp, *size), picture)

    def _has_changed(self, path: str, content: str) -> bool:
        return path in self._known and content != self._known[path].content

    def _reading(self, batch: list[_Prepared | Failed]) -> Callable[[], tuple[list[_Prepared | Failed], _Contents]]:
        """Returns the work for a batch, to run in a worker thread.

        A content that an earlier batch holds is left to that batch, which is written first.
        """
        fresh: dict[str, Picture] = {}
        for item in batch:
            if isinstance(item, _Prepared) and item.picture is not None and item.facts.content not in self._sizes:
                fresh[item.facts.content] = item.picture
        self._sizes |= {
            item.facts.content: (item.facts.width, item.facts.height) for item in batch if isinstance(item, _Prepared)
        }
        return lambda: (batch, self._contents(fresh))

    def _contents(self, fresh: Mapping[str, Picture]) -> _Contents:
        """Runs in worker threads."""
        if not fresh:
            return _Contents()
        try:
            states = self._model.read(list(fresh.values())).store()
            vectors = self.embedded(states)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            if len(fresh) == 1:
                logger.debug("the model does not take a picture", exc_info=True)
                return _Contents(refused=dict.fromkeys(fresh, f"{self._model.name} cannot read it: {reason_of(error)}"))
            halves = (self._contents(dict(half)) for half in batches(fresh.items(), (len(fresh) + 1) // 2))
            one, other = halves
            return _Contents(one.states | other.states, one.vectors | other.vectors, one.refused | other.refused)
        return _Contents(dict(zip(fresh, states, strict=True)), dict(zip(fresh, vectors, strict=True)))

    def _finished(
        self, batch: Sequence[_Prepared | Failed], contents: _Contents, refused: Mapping[str, str]
    ) -> ReadBatch:
        facts, failed = list[PictureFacts](), list[Failed]()
        for item in batch:
            if isinstance(item, Failed):
                failed.append(item)
            elif item.facts.content in refused:
                path, content = item.facts.path, item.facts.content
                failed.append(Failed(path, refused[content], self._has_changed(path, content)))
            else:
                facts.append(item.facts)
        return ReadBatch(facts, failed, contents.states, contents.vectors)


def _ahead(pool: ThreadPoolExecutor, tasks: Iterable[Callable[[], _Result]], most: int) -> Iterator[_Result]:
    """Yields the results in order. At most `most` tasks run ahead, which bounds the memory."""
    waiting: deque[Future[_Result]] = deque()
    for task in tasks:
        waiting.append(pool.submit(task))
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def batch_sizes(items: int, workers: int) -> list[int]:
    """Returns sizes of batches, of at most `BATCH`, that keep all workers busy to the end."""
    rounds, rest = divmod(items, workers * BATCH)
    last = [(rest + worker) // workers for worker in reversed(range(workers))]
    return [BATCH] * (rounds * workers) + [size for size in last if size]


def batches(items: Iterable[_Result], size: int) -> Iterator[list[_Result]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
