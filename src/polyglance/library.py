"""A library: a folder that holds what a model read from pictures, to be searched and asked without opening them again.

library = Library.open("my-library")
library.add(["photos"])
best = library.search("a red star on a white plate").results[0]
print(library.ask("What colour is the star?", image=best.path).answers[0].answer)
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Final, Literal, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from polyglance.answering.answerer import answer_question, answer_tasks
from polyglance.data.images import content_hash, decode, find_pictures, picture_stat
from polyglance.errors import ConfigurationError, PictureError, QueryError
from polyglance.languages import AUTO, detect
from polyglance.models import BUNDLED, load_model, source_of
from polyglance.models.protocol import ImageBatch, JointModel
from polyglance.models.single_stream import SingleStreamModel
from polyglance.models.tasks import TaskModel, load_task
from polyglance.nn.states import TokenStates
from polyglance.query import PictureSource, Query
from polyglance.search.pipeline import SearchPipeline
from polyglance.store.lance import LanceDatabase, Reader
from polyglance.store.protocols import PictureFacts
from polyglance.types import AskResponse, AskTasksResponse, FailedPicture, IndexReport, SearchResponse, StoredStates

PathLike = str | os.PathLike[str]
Progress = Callable[[int, int], None]
"""Called with the number of files done and of all files."""

MAX_CHARACTERS: Final = 2_000
"""Of a query or a question: more is no description of a picture."""

_BATCH: Final = 32
_BATCHES_UNTIL_TIDY: Final = 64
_WORKERS: Final = min(4, os.cpu_count() or 1)
_Result = TypeVar("_Result")


class Library:
    """Pictures that one model has read. Make or open one with `Library.open`."""

    def __init__(self, database: LanceDatabase, model: JointModel) -> None:
        self.model = model
        self._database = database

    @classmethod
    def open(cls, path: PathLike, model: str | JointModel | None = None, *, create: bool = True) -> Self:
        """The library in the folder `path`, made there when there is none and `create` says so.

        model: a model, or the name or folder of one. None is the one that made the library, and for a new library
            `scenes-mini`.

        Raises:
            LibraryMissing: there is none, and `create` is False.
            LibraryMismatch: another model made it; the message holds the command that reads the pictures anew.
            LibraryDamaged: its files are torn.
            ConfigurationError: there is no such model, or the folder holds something else.
        """
        folder = Path(path).expanduser().resolve()
        new = create and not LanceDatabase.exists(folder)
        source = model if model is not None else BUNDLED if new else LanceDatabase(folder).reader.source
        loaded = load_model(source) if isinstance(source, str) else source
        reader = Reader(loaded.name, _source(source), loaded.fingerprint)
        if new:
            LanceDatabase.create(folder, loaded.embedding_dim, reader)
        database = LanceDatabase(folder)
        database.check(reader)
        return cls(database, loaded)

    def __len__(self) -> int:
        """Picture files in the library."""
        return len(self._database.pictures)

    def paths(self) -> list[str]:
        """Of all pictures, absolute, sorted."""
        return [facts.path for facts in self._database.pictures.facts()]

    def add(self, folders: PathLike | Sequence[PathLike], progress: Progress | None = None) -> IndexReport:
        """Make the library agree with these folders, and read no picture twice.

        A file whose size and time are as they were is not opened; one whose content is known, because it was moved,
        copied or only touched, is not read again. What is gone from the folders leaves the library; pictures of other
        folders stay. What cannot be read is counted under `failed` and the run goes on; it keeps its old reading,
        unless its content has changed. Interrupted at any point, the next run goes on where this one was.

        Raises DataError for a folder that does not exist, LibraryError when another run is adding or the disk is full.
        """
        named = [folders] if isinstance(folders, str | os.PathLike) else folders
        with self._database.writer():
            return _IndexRun(self.model, self._database, named).run(progress or (lambda done, total: None))

    def search(
        self, query: str | Query, k: int = 10, candidates: int = 20, language: str = AUTO, rerank: bool = True
    ) -> SearchResponse:
        """The k pictures that the query fits best; of those retrieved, the first `candidates` are reranked.

        query: a text, or a sum of texts and pictures. language: of its texts, a code the model knows; `auto` is told by
        the script where that is possible.

        Raises QueryError for a text or a sum that cannot be used, PictureError for a picture that cannot be read,
        ConfigurationError for a language or number that does not fit.
        """
        query = _usable_query(query)
        texts = " ".join(term.text for term in query.terms if term.text is not None)
        language = self._language(language, texts)
        _at_least(1, k, "k")
        _at_least(0, candidates, "candidates")
        pipeline = SearchPipeline(self.model, self._database.pictures, self._database.states, self._read_source)
        return pipeline.search(query, k=k, candidates=candidates, language=language, rerank=rerank)

    def ask(self, question: str, image: PathLike, language: str = AUTO, top: int = 5) -> AskResponse:
        """The `top` most probable answers about one picture, from what was stored of it or else from the file.

        Raises QueryError and ConfigurationError as `search` does, and PictureError for a file that cannot be read.
        """
        return AskResponse(
            *self._asked(question, image, language, top, lambda *asked: answer_question(self.model, *asked))
        )

    def ask_tasks(
        self,
        question: str,
        image: PathLike,
        tasks: Sequence[PathLike],
        language: str = AUTO,
        top: int = 5,
        depth: int | Literal["auto"] | None = None,
        budget: float | None = None,
    ) -> AskTasksResponse:
        """What tasks that were trained in the library's model answer, all at once.

        tasks: their folders. depth, budget: of each, as in `load_task`.

        Raises CheckpointError for a folder that is no task, or one of another model, ConfigurationError for a depth
        that it does not have; otherwise as `ask`.
        """
        if not isinstance(self.model, SingleStreamModel):
            raise ConfigurationError(f"expected a single-stream model to have tasks, got {self.model.name}")
        trained = TaskModel(self.model, [load_task(Path(folder), depth, budget) for folder in tasks])
        return AskTasksResponse(
            *self._asked(question, image, language, top, lambda *asked: answer_tasks(trained, *asked))
        )

    def _asked(
        self,
        question: str,
        image: PathLike,
        language: str,
        top: int,
        answer: Callable[[str, TokenStates, int], _Result],
    ) -> tuple[str, str, _Result, dict[str, float]]:
        """(the question, the picture's path, what `answer` gave, milliseconds)."""
        text = _usable(question, "question")
        self._language(language, question)
        _at_least(1, top, "top")
        path = _absolute(image)
        started = perf_counter()
        picture = self._read(path)
        read = perf_counter()
        answers = answer(text, picture, top)
        ended = perf_counter()
        seconds = {"read": read - started, "answer": ended - read, "total": ended - started}
        return text, path, answers, {stage: 1000 * spent for stage, spent in seconds.items()}

    def _read_source(self, picture: PictureSource) -> TokenStates:
        if isinstance(picture, bytes):
            return self.model.read_images(_batch([self.model.preprocess(decode(picture))]))
        return self._read(_absolute(picture))

    def _read(self, path: str) -> TokenStates:
        facts = self._database.pictures.find(path) if _is_text(path) else None
        if facts is not None and not _has_changed(facts):
            return TokenStates.load(self._database.states.get([facts.content]), "image")
        try:
            pixels = self.model.preprocess(decode(path))
        except PictureError as error:
            raise PictureError(f"{_printable(path)}: {error}") from error
        return self.model.read_images(_batch([pixels]))

    def _language(self, code: str, text: str) -> str:
        """The code itself, or what stands for it in the response where it is `auto`."""
        if code == AUTO:
            detected = detect(text)
            return detected if detected in self.model.languages else AUTO
        if code not in self.model.languages:
            known = ", ".join(self.model.languages)
            raise ConfigurationError(f"expected a language that {self.model.name} knows, {known} or auto; got {code!r}")
        return code


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


class _IndexRun:
    """One call of `Library.add`: files are hashed and decoded in threads, a few batches ahead of the model.

    States are written before the rows that need them, and removed after: a kill between leaves states without a row,
    which the next run sweeps out.
    """

    def __init__(self, model: JointModel, database: LanceDatabase, folders: Sequence[PathLike]) -> None:
        self._model = model
        self._database = database
        self._folders = [_absolute(folder) for folder in folders]
        self._found = find_pictures(self._folders)
        self._known = {facts.path: facts for facts in database.pictures.facts()}
        self._rows = dict(self._known)
        self._states = database.states.ids()
        self._sizes = {
            facts.content: (facts.width, facts.height)
            for facts in self._known.values()
            if facts.content in self._states
        }
        self._outdated: set[str] = set()
        self._report = IndexReport(
            failed=[FailedPicture(_printable(path), reason) for path, reason in self._found.unreadable.items()]
        )

    def run(self, progress: Progress) -> IndexReport:
        started = perf_counter()
        pending = [path for path in self._found.paths if not self._is_unchanged(path)]
        total = len(self._found.paths)
        done = self._report.unchanged = total - len(pending)
        progress(done, total)
        for number, batch in enumerate(_batches(_ahead(self._prepare, pending), _BATCH), 1):
            self._write([item for item in batch if isinstance(item, _Prepared)])
            self._note([item for item in batch if isinstance(item, _Failed)])
            if number % _BATCHES_UNTIL_TIDY == 0:
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
        return os.path.exists(path) and not _has_changed(facts)

    def _prepare(self, path: str) -> _Prepared | _Failed:
        """Runs in worker threads."""
        changed = False
        try:
            if not _is_text(path):
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
        states = self._model.read_images(_batch(list(fresh.values()))).store()
        stored = dict(zip(fresh, states, strict=True))
        self._database.states.put(stored)
        self._states |= stored.keys()
        return stored

    def _note(self, failed: Sequence[_Failed]) -> None:
        self._report.failed += [FailedPicture(_printable(item.path), item.reason) for item in failed]
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
    with ThreadPoolExecutor(_WORKERS) as pool:
        try:
            for path in paths:
                waiting.append(pool.submit(prepare, path))
                if len(waiting) >= 2 * _BATCH:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _batches(items: Iterable[_Result], size: int) -> Iterator[list[_Result]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _batch(pixels: Sequence[NDArray[np.uint8]]) -> ImageBatch:
    return ImageBatch(torch.from_numpy(np.stack(pixels)))


def _source(model: str | JointModel) -> str:
    """What loads the model again, from any working directory."""
    return source_of(model if isinstance(model, str) else model.name)


def _absolute(path: PathLike) -> str:
    return os.path.abspath(os.path.expanduser(os.fspath(path)))


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))


def _has_changed(facts: PictureFacts) -> bool:
    """Whether another file may be there by now; what is gone or cannot be looked at has not changed."""
    try:
        file = os.stat(facts.path)
    except OSError:
        return False
    return (facts.size, facts.mtime_ns) != (file.st_size, file.st_mtime_ns)


def _is_text(path: str) -> bool:
    """Names on disk are bytes; those that are no UTF-8 come with surrogates, which nothing can store or print."""
    return path == path.encode(errors="ignore").decode()


def _printable(path: str) -> str:
    return path.encode(errors="backslashreplace").decode()


def _usable_query(query: str | Query) -> Query:
    if isinstance(query, str):
        return Query.text(_usable(query, "query"))
    if not any(term.weight > 0 for term in query.terms):
        raise QueryError("expected a query with something that is wanted, but every weight is 0 or less")
    return Query(
        tuple(term if term.text is None else replace(term, text=_usable(term.text, "query")) for term in query.terms)
    )


def _usable(text: str, what: str) -> str:
    stripped = text.strip()
    if not stripped:
        raise QueryError(f"expected a {what} of at least one word, but it is empty")
    if len(stripped) > MAX_CHARACTERS:
        raise QueryError(
            f"expected a {what} of at most {MAX_CHARACTERS:,} characters, got {len(stripped):,}; shorten it"
        )
    if not _is_text(stripped):
        raise QueryError(f"expected a {what} in valid UTF-8, got {_printable(stripped)!r}")
    return stripped


def _at_least(least: int, value: int, name: str) -> None:
    if value < least:
        raise ConfigurationError(f"expected {name} of at least {least}, got {value}")
