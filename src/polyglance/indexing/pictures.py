"""Pictures of folders into a library: what is new is read, what is known is kept, what is gone leaves."""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from polyglance.data.images import content_hash, decode, find_pictures, picture_stat
from polyglance.data.texts import is_of_text
from polyglance.errors import PictureError
from polyglance.models.protocol import ImageBatch, JointModel
from polyglance.nn.states import TokenStates
from polyglance.query import is_utf8, printable
from polyglance.store.lance import LanceDatabase
from polyglance.store.protocols import PictureFacts
from polyglance.types import FailedPicture, IndexReport, StoredStates

PathLike = str | os.PathLike[str]
Progress = Callable[[int, int], None]
"""Called with the number of files done and of all files."""

BATCHES_UNTIL_TIDY: Final = 64
_BATCH: Final = 32
_WORKERS: Final = 4
"""At most: no more than torch has threads, which is the one setting for both."""
_Result = TypeVar("_Result")


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A file ready for the model. pixels: None where its content has been read already."""

    facts: PictureFacts
    pixels: NDArray[np.uint8] | None


@dataclass(frozen=True)
class _Failed:
    """changed: what the library holds of this path is known to be out of date."""

    path: str
    reason: str
    changed: bool


class PictureRun:
    """One run over folders: files are hashed and decoded in threads, a few batches ahead of the model.

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
        for number, batch in enumerate(batches(_ahead(self._prepare, pending), _BATCH), 1):
            self._write([item for item in batch if isinstance(item, _Prepared)])
            self._note([item for item in batch if isinstance(item, _Failed)])
            if number % BATCHES_UNTIL_TIDY == 0:
                self._database.tidy()
            done += len(batch)
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
            size, pixels = self._sizes.get(content), None
            if size is None:
                image = decode(path)
                size, pixels = image.size, self._preprocess(image)
        except PictureError as error:
            return _Failed(path, str(error), changed)
        folder = max((folder for folder in self._folders if _is_in(path, folder)), key=len)
        return _Prepared(PictureFacts(path, folder, content, file.st_size, file.st_mtime_ns, *size), pixels)

    def _preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        try:
            return self._model.preprocess(image)
        except Exception as error:  # one odd picture never ends a run
            width, height = image.size
            raise PictureError(f"{self._model.name} cannot take a picture of {width} x {height}: {error}") from error

    def _write(self, batch: Sequence[_Prepared]) -> None:
        """Read what is new in the batch, and keep all of it. A vector is made of the states as they are stored, so that
        it is the same whether its picture was read now or long ago."""
        if not batch:
            return
        contents = {item.facts.content: item.pixels for item in batch}
        fresh = {key: pixels for key, pixels in contents.items() if pixels is not None and key not in self._sizes}
        stored = self._read(fresh) if fresh else {}
        known = [key for key in contents if key not in stored]
        stored |= zip(known, self._database.states.get(known), strict=True)
        vectors = self._model.embed(TokenStates.load(list(stored.values()), "image")).float().cpu().numpy()
        row_of = {key: row for row, key in enumerate(stored)}
        facts = [item.facts for item in batch]
        self._database.pictures.put(facts, vectors[[row_of[row.content] for row in facts]])
        self._rows |= {row.path: row for row in facts}
        self._sizes |= {row.content: (row.width, row.height) for row in facts}

    def _read(self, fresh: Mapping[str, NDArray[np.uint8]]) -> dict[str, StoredStates]:
        states = self._model.read_images(ImageBatch(torch.from_numpy(np.stack(list(fresh.values()))))).store()
        stored = dict(zip(fresh, states, strict=True))
        self._database.states.put(stored)
        self._states |= stored.keys()
        return stored

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


def _ahead(prepare: Callable[[str], _Result], paths: Sequence[str]) -> Iterator[_Result]:
    """`prepare` of each path, in order, in threads that stay at most two batches ahead: memory is flat."""
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(min(_WORKERS, torch.get_num_threads())) as pool:
        try:
            for path in paths:
                waiting.append(pool.submit(prepare, path))
                if len(waiting) >= 2 * _BATCH:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


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
