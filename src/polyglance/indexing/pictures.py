"""Pictures of folders into a library: what is new is read, what is known is kept, what is gone leaves."""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Final, TypeVar

import numpy as np
import torch
from jaxtyping import Float32

from polyglance.data.images import content_hash, find_pictures, picture_stat
from polyglance.data.texts import is_of_text
from polyglance.errors import PictureError
from polyglance.models.opening import Picture, image_batch, open_picture
from polyglance.models.protocol import JointModel
from polyglance.nn.states import TokenStates
from polyglance.query import is_utf8, printable
from polyglance.store.lance import LanceDatabase
from polyglance.store.protocols import PictureFacts
from polyglance.types import FailedPicture, IndexReport, StoredStates

PathLike = str | os.PathLike[str]
Progress = Callable[[int, int], None]
"""Called with the number of files done and of all files."""

WRITES_UNTIL_TIDY: Final = 64
_BATCH: Final = 16
SECONDS_A_WRITE: Final = 1.0
"""What was read in as long is written at once: a write takes the time of pictures, and LanceDB keeps memory of each."""
_WORKERS: Final = 8
"""At most; they share torch's number of threads, which is the one setting for decoding and reading."""
_Result = TypeVar("_Result")


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A file ready for the model. picture: None where its content has been read already."""

    facts: PictureFacts
    picture: Picture | None


@dataclass(frozen=True, eq=False)
class _Read:
    """A batch of files, and what the model made of those contents in it that were new."""

    batch: Sequence["_Prepared | _Failed"]
    states: Mapping[str, StoredStates]
    vectors: Mapping[str, Float32[np.ndarray, " dim"]]


@dataclass(frozen=True)
class _Failed:
    """changed: what the library holds of this path is known to be out of date."""

    path: str
    reason: str
    changed: bool


class PictureRun:
    """One run over folders: files are hashed, decoded and read by the model in threads, a few batches at once, and
    written in order.

    States are written before the rows that need them, and removed after: a kill between leaves states without a row,
    which the next run sweeps out.
    """

    def __init__(self, model: JointModel, database: LanceDatabase, folders: Sequence[PathLike]) -> None:
        self._model = model
        self._database = database
        self._folders = [absolute(folder) for folder in folders]
        self._found = find_pictures(self._folders)
        self._known = {facts.path: facts for facts in database.pictures.facts()}
        self._rows = dict(self._known)
        self._states = {content for content in database.states.ids() if not is_of_text(content)}
        self._sizes = {
            facts.content: (facts.width, facts.height)
            for facts in self._known.values()
            if facts.content in self._states
        }
        self._outdated: set[str] = set()
        self._report = IndexReport(
            failed=[FailedPicture(printable(path), reason) for path, reason in self._found.unreadable.items()]
        )

    def run(self, progress: Progress) -> IndexReport:
        started = perf_counter()
        pending = [path for path in self._found.paths if not self._is_unchanged(path)]
        total = len(self._found.paths)
        done = self._report.unchanged = total - len(pending)
        progress(done, total)
        workers = min(_WORKERS, torch.get_num_threads())
        with _pool(workers) as pool:
            prepared = _ahead(pool, (partial(self._prepare, path) for path in pending), 2 * _BATCH)
            readings = (self._reading(batch) for batch in batches(prepared, _BATCH))
            for number, reads in enumerate(_gathered(_ahead(pool, readings, workers + 1)), 1):
                self._write(reads)
                if number % WRITES_UNTIL_TIDY == 0:
                    self._database.tidy()
                done += sum(len(read.batch) for read in reads)
                progress(done, total)
        swept = self._sweep()
        if pending or swept:
            self._database.tidy()
            self._database.sync()
        return self._finish(perf_counter() - started)

    def _is_unchanged(self, path: str) -> bool:
        facts = self._known.get(path)
        if facts is None or facts.content not in self._states:
            return False
        return os.path.exists(path) and not has_changed(facts)

    def _prepare(self, path: str) -> _Prepared | _Failed:
        """Runs in worker threads."""
        changed = False
        try:
            if not is_utf8(path):
                raise PictureError("its name is not valid UTF-8; rename it")
            file = picture_stat(path)
            content = content_hash(path)
            changed = path in self._known and content != self._known[path].content
            size, picture = self._sizes.get(content), None
            if size is None:
                size, picture = open_picture(self._model, path)
        except PictureError as error:
            return _Failed(path, str(error), changed)
        folder = max((folder for folder in self._folders if _is_in(path, folder)), key=len)
        return _Prepared(PictureFacts(path, folder, content, file.st_size, file.st_mtime_ns, *size), picture)

    def _reading(self, batch: Sequence[_Prepared | _Failed]) -> Callable[[], _Read]:
        """What is to be done in a worker thread for a batch. Contents that an earlier batch has are left to it: it is
        written first."""
        fresh: dict[str, Picture] = {}
        for item in batch:
            if isinstance(item, _Prepared) and item.picture is not None and item.facts.content not in self._sizes:
                fresh[item.facts.content] = item.picture
        self._sizes |= {
            item.facts.content: (item.facts.width, item.facts.height) for item in batch if isinstance(item, _Prepared)
        }
        return partial(self._read, batch, fresh)

    def _read(self, batch: Sequence[_Prepared | _Failed], fresh: Mapping[str, Picture]) -> _Read:
        """Runs in worker threads."""
        if not fresh:
            return _Read(batch, {}, {})
        read = self._model.read_images(image_batch(list(fresh.values()))).store()
        return _Read(batch, dict(zip(fresh, read, strict=True)), dict(zip(fresh, self._embedded(read), strict=True)))

    def _embedded(self, states: Sequence[StoredStates]) -> Float32[np.ndarray, "pictures dim"]:
        """Of the states as they are stored, so that a vector is the same whether its picture was read now or long
        ago."""
        return self._model.embed(TokenStates.load(states, "image")).float().cpu().numpy()

    def _write(self, reads: Sequence[_Read]) -> None:
        items = [item for read in reads for item in read.batch]
        self._note([item for item in items if isinstance(item, _Failed)])
        facts = [item.facts for item in items if isinstance(item, _Prepared)]
        if not facts:
            return
        if states := {key: row for read in reads for key, row in read.states.items()}:
            self._database.states.put(states)
            self._states |= states.keys()
        vectors = {key: row for read in reads for key, row in read.vectors.items()}
        if known := [key for key in dict.fromkeys(row.content for row in facts) if key not in vectors]:
            vectors |= zip(known, self._embedded(self._database.states.get(known)), strict=True)
        self._database.pictures.put(facts, np.stack([vectors[row.content] for row in facts]))
        self._rows |= {row.path: row for row in facts}

    def _note(self, failed: Sequence[_Failed]) -> None:
        self._report.failed += [FailedPicture(printable(item.path), item.reason) for item in failed]
        self._outdated |= {item.path for item in failed if item.changed}

    def _sweep(self) -> bool:
        """Forget files that are gone, and states that no file needs; tells whether there were any."""
        found = set(self._found.paths)
        gone = {path for path in self._known if path not in found and self._is_visible(path)} | self._outdated
        self._database.pictures.remove(gone)
        self._rows = {path: facts for path, facts in self._rows.items() if path not in gone}
        orphans = self._states - {facts.content for facts in self._rows.values()}
        self._database.states.remove(orphans)
        return bool(gone or orphans)

    def _is_visible(self, path: str) -> bool:
        """Whether this run would have found the file, were it there."""
        return any(_is_in(path, folder) for folder in self._folders) and not any(
            _is_in(path, folder) for folder in self._found.unreadable
        )

    def _finish(self, seconds: float) -> IndexReport:
        before, after = self._known, self._rows
        came = Counter(
            row.content for path, row in after.items() if path not in before or before[path].content != row.content
        )
        left = Counter(row.content for path, row in before.items() if path not in after)
        moved = (came & left).total()
        report = self._report
        report.added, report.moved, report.removed = came.total() - moved, moved, left.total() - moved
        report.unchanged = len(self._found.paths) - came.total() - (len(report.failed) - len(self._found.unreadable))
        report.seconds = seconds
        report.pictures_per_second = came.total() / seconds
        return report


@contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for all that a run computes. Batches side by side, each in a thread, take less time than one after the
    other in all threads, whose parts wait for each other."""
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # for threads to come, which would have a worker's number


def _ahead(pool: ThreadPoolExecutor, tasks: Iterable[Callable[[], _Result]], most: int) -> Iterator[_Result]:
    """The results in order, at most so many tasks ahead: memory is flat."""
    waiting: deque[Future[_Result]] = deque()
    for task in tasks:
        waiting.append(pool.submit(task))
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _gathered(reads: Iterable[_Read]) -> Iterator[list[_Read]]:
    some, since = list[_Read](), perf_counter()
    for read in reads:
        some.append(read)
        if perf_counter() - since >= SECONDS_A_WRITE:
            yield some
            some, since = [], perf_counter()
    if some:
        yield some


def batches(items: Iterable[_Result], size: int) -> Iterator[list[_Result]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def has_changed(facts: PictureFacts) -> bool:
    """Whether another file may be there by now; what is gone or cannot be looked at has not changed."""
    try:
        file = os.stat(facts.path)
    except OSError:
        return False
    return (facts.size, facts.mtime_ns) != (file.st_size, file.st_mtime_ns)


def absolute(path: PathLike) -> str:
    return os.path.abspath(os.path.expanduser(os.fspath(path)))


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))
