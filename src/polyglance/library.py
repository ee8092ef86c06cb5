"""A library keeps what a model read from pictures and texts, and searches and asks them without opening them again.

with Library.create("my-library") as library:
    library.add(["photos"])

with Library.open("my-library") as library:
    best = library.search("a red star on a white plate").results[0]
    print(library.ask("What colour is the star?", image=best.path).answers[0].answer)
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Literal, Self, TypeVar, overload

from PIL.Image import Image

from polyglance.answering import words
from polyglance.answering.answerer import answer_question, answer_tasks
from polyglance.errors import ConfigurationError, LibraryError, PictureError
from polyglance.indexing.missing import absolute, is_away
from polyglance.indexing.pictures import PictureRun, has_changed, remove_pictures
from polyglance.indexing.reading import batches
from polyglance.indexing.texts import TextRun
from polyglance.languages import AUTO
from polyglance.models import FOR_PHOTOGRAPHS, is_bundled, load_model, note_on
from polyglance.models.capabilities import as_answerer, as_embedder, as_matcher
from polyglance.models.families.single_stream import as_single_stream
from polyglance.models.pair_scorers import load_reranker
from polyglance.models.protocol import PairScorer, Picture, Reader
from polyglance.models.reading import PICTURES, language_of
from polyglance.models.tasks import TaskModel, load_task
from polyglance.nn.states import TokenStates
from polyglance.query import PictureSource, Query, is_utf8, printable, usable_text
from polyglance.search.budget import CostFile, Costs, measure
from polyglance.search.options import SearchOptions, require_at_least
from polyglance.search.pipeline import Asked, SearchPipeline, picture_result, text_result
from polyglance.search.reranker import PixelReranker
from polyglance.store.lance import LanceDatabase
from polyglance.store.memory import MemoryDatabase
from polyglance.store.protocols import AnyFacts, Database, PictureFacts, ReaderFacts, TextFacts
from polyglance.types import (
    AskResponse,
    AskTasksResponse,
    FolderInfo,
    IndexReport,
    LibraryInfo,
    PathLike,
    Picked,
    Progress,
    Result,
    SearchResponse,
    SearchResult,
    TextReport,
    TextResult,
)

CANDIDATES: Final = 20
"""The default number of candidates that are retrieved and reranked."""

_Given = TypeVar("_Given")
_Asked = TypeVar("_Asked", bound=str | Query)


class Library:
    """Pictures and texts that one model has read.

    `Library.create` makes a library and `Library.open` opens one. A library is a context manager that closes itself.
    """

    def __init__(self, database: Database, model: Reader, reranker: PairScorer | None = None) -> None:
        self.model = model
        self.reranker = reranker
        self._open: Database | None = database
        self._folder = database.folder

    @classmethod
    def create(cls, path: PathLike, *, model: str | os.PathLike[str] | Reader | None = None) -> Self:
        """Creates an empty library.

        Args:
            path: the folder of the library, which must be empty or missing.
            model: the model that will read the library, or its name or folder. None means
                google/siglip2-base-patch16-256, which is fetched from the Hugging Face hub unless its cache has it.

        Raises:
            LibraryError: the folder already holds a library.
            ConfigurationError: there is no such model, it was not trained to embed, or the folder holds something else.
        """
        folder = _folder(path)
        if LanceDatabase.exists(folder):
            raise LibraryError(f"expected no library at {folder} yet, but there is one: open it with Library.open")
        loaded, reader = _loaded(FOR_PHOTOGRAPHS if model is None else model)
        LanceDatabase.create(folder, as_embedder(loaded).embedding_dim, reader)
        database = LanceDatabase(folder)
        _check(database, reader)  # another run may have been quicker, with another model
        return cls(database, loaded)

    @classmethod
    def open(
        cls,
        path: PathLike,
        *,
        model: str | os.PathLike[str] | Reader | None = None,
        reranker: str | os.PathLike[str] | Reader | PairScorer | None = None,
    ) -> Self:
        """Opens a library.

        Args:
            path: the folder of the library.
            model: the model that read the library, that model with a language added, or the name or folder of either.
                None means the model that made the library.
            reranker: reranks retrieved pictures in place of the library's model. It is a model that was trained to
                match, the name or folder of such a model, or `st:NAME` for a cross-encoder of sentence-transformers.
                It opens the files of the candidates in every search.

        Raises:
            LibraryMissing: there is no library in the folder.
            LibraryMismatch: another model made the library; the message gives the command that reads the pictures
                again.
            LibraryDamaged: the library's files are torn.
            ConfigurationError: there is no such model, or `model` is None and the library was made by a model that was
                built in memory.
        """
        database = LanceDatabase(_folder(path))
        loaded, reader = _loaded(_remembered(database) if model is None else model)
        _check(database, reader)
        return cls(database, loaded, None if reranker is None else load_reranker(reranker))

    def close(self) -> None:
        """Releases the library's files.

        Closing a closed library does nothing. Any other use of a closed library raises LibraryError.
        """
        self._open = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _database(self) -> Database:
        if self._open is None:
            raise LibraryError(f"the library at {self._folder} is closed: open it again with Library.open")
        return self._open

    def __len__(self) -> int:
        """Returns the number of picture files in the library."""
        return len(self._database.pictures)

    def paths(self) -> list[str]:
        """Returns the absolute paths of all pictures, sorted."""
        return [facts.path for facts in self._database.pictures.facts()]

    def info(self) -> LibraryInfo:
        """Returns what the library holds, and how many of its picture files are not there now."""
        facts, texts = self._database.pictures.facts(), self._database.texts
        pictures = Counter(row.folder for row in facts)
        away = Counter(row.folder for row in facts if is_away(row.path))
        files = self._folder.rglob("*") if self._folder else ()
        return LibraryInfo(
            path=None if self._folder is None else str(self._folder),
            pictures=len(facts),
            away=away.total(),
            texts=len(texts),
            size=sum(file.stat().st_size for file in files if file.is_file()),
            model=self._database.reader.name,
            source=self._database.reader.source,
            fingerprint=self._database.reader.fingerprint,
            languages=tuple(self.model.languages),
            folders=[FolderInfo(folder, count, away[folder]) for folder, count in sorted(pictures.items())],
        )

    def add(
        self, folders: PathLike | Sequence[PathLike], *, prune: bool = False, progress: Progress | None = None
    ) -> IndexReport:
        """Brings the library up to date with folders of pictures.

        No picture is read twice. A file whose size and modification time have not changed is not opened. A file whose
        content is known, because it was moved, copied or touched, is not read again. Pictures that are gone from the
        folders leave the library. Pictures of other folders stay, unless they have moved into these folders.

        Missing pictures are kept and reported as away if their folder is not there or is empty, which happens when a
        drive is not mounted, or if more pictures of a named folder are missing than are still there.

        A file that cannot be read is listed under `failed`, and the run goes on. The library keeps what it had read
        from that file, unless the file's content has changed. A run may be interrupted at any point; the next one
        continues from there.

        Args:
            folders: the folders, or picture files, to index.
            prune: whether to forget pictures that are away.
            progress: called with the number of files that are done and the number of all files.

        Raises:
            DataError: a folder does not exist, and no picture below it is known.
            LibraryError: another run is writing to the library, or the disk is full.
        """
        model = as_embedder(self.model)
        named = [folders] if isinstance(folders, str | os.PathLike) else folders
        with self._database.writer():
            run = PictureRun(lambda: model, model.identity, self._database, named, prune=prune)
            return run.run(progress or (lambda done, total: None))

    def add_texts(self, files: PathLike | Sequence[PathLike], *, progress: Progress | None = None) -> TextReport:
        """Brings the library up to date with files of texts.

        No text is read twice. Texts that are gone from a file leave the library, and texts of other files stay. A line
        that cannot be used is listed under `failed`, and the run goes on. A run may be interrupted at any point; the
        next one continues from there.

        Args:
            files: files with one text on each line, or with captions in JSON Lines.
            progress: called with the number of texts that are done and the number of all texts.

        Raises:
            DataError: a file cannot be read.
            LibraryError: another run is writing to the library, or the disk is full.
        """
        model = as_embedder(self.model)
        named = [files] if isinstance(files, str | os.PathLike) else files
        with self._database.writer():
            return TextRun(model, self._database, named).run(progress or (lambda done, total: None))

    def remove(self, paths: PathLike | Sequence[PathLike]) -> int:
        """Forgets pictures and returns how many there were.

        The files stay on disk. The next `add` of their folder reads them again.

        Args:
            paths: pictures, or folders whose pictures are all forgotten. The files need not exist.

        Raises:
            DataError: the library holds no picture at one of the paths; then it forgets none.
            LibraryError: another run is writing to the library, or the disk is full.
        """
        named = [paths] if isinstance(paths, str | os.PathLike) else paths
        with self._database.writer():
            return remove_pictures(self._database, named)

    @overload
    def search(
        self,
        query: str | Query,
        *,
        k: int = ...,
        candidates: int | None = ...,
        language: str = ...,
        rerank: bool = ...,
        min_score: float | None = ...,
        budget_ms: float | None = ...,
    ) -> SearchResponse[SearchResult]: ...
    @overload
    def search(
        self,
        query: list[_Asked],
        *,
        k: int = ...,
        candidates: int | None = ...,
        language: str = ...,
        rerank: bool = ...,
        min_score: float | None = ...,
        budget_ms: float | None = ...,
    ) -> list[SearchResponse[SearchResult]]: ...
    def search(
        self,
        query: str | Query | list[_Asked],
        *,
        k: int = 10,
        candidates: int | None = None,
        language: str = AUTO,
        rerank: bool = True,
        min_score: float | None = None,
        budget_ms: float | None = None,
    ) -> SearchResponse[SearchResult] | list[SearchResponse[SearchResult]]:
        """Searches the pictures and returns the k that fit the query best.

        The first `candidates` of the retrieved pictures are reranked. If neither the model nor a reranker can match,
        the retrieved pictures are returned in the order of their cosines.

        A list of queries gives a list of responses. The queries are read in one batch and retrieved by one matrix
        product, which is faster than one search after another. The `text` and `retrieve` times of each response are
        then those of the whole batch.

        Args:
            query: a text, a weighted sum of texts, pictures and vectors, or a list of either.
            k: the number of results, at least 1.
            candidates: the number of retrieved pictures that are reranked; None means 20.
            language: the language of the query's texts, as a code that the model knows or a tag such as de-DE. `auto`
                detects it where the texts show it.
            rerank: whether to rerank.
            min_score: a probability from 0 to 1. Pictures that the reranker gives a lower probability, or that were
                only retrieved, are left out, so there may be no results at all.
            budget_ms: a time for each search, in milliseconds. The number of candidates and the drop depth of their
                matches are picked to fit it, from measurements on this machine that are made when first needed.

        Raises:
            QueryError: a text, a vector or a sum cannot be used.
            PictureError: a picture of the query cannot be read.
            ConfigurationError: a language or a number does not fit, or the model was not trained to embed.
        """
        options = SearchOptions(k, candidates, language, rerank, min_score, budget_ms)
        found = self._searched(self._pictures, query if isinstance(query, list) else [query], options)
        return found if isinstance(query, list) else found[0]

    @overload
    def search_texts(
        self,
        query: str | Query,
        *,
        k: int = ...,
        candidates: int | None = ...,
        language: str = ...,
        rerank: bool = ...,
        min_score: float | None = ...,
        budget_ms: float | None = ...,
    ) -> SearchResponse[TextResult]: ...
    @overload
    def search_texts(
        self,
        query: list[_Asked],
        *,
        k: int = ...,
        candidates: int | None = ...,
        language: str = ...,
        rerank: bool = ...,
        min_score: float | None = ...,
        budget_ms: float | None = ...,
    ) -> list[SearchResponse[TextResult]]: ...
    def search_texts(
        self,
        query: str | Query | list[_Asked],
        *,
        k: int = 10,
        candidates: int | None = None,
        language: str = AUTO,
        rerank: bool = True,
        min_score: float | None = None,
        budget_ms: float | None = None,
    ) -> SearchResponse[TextResult] | list[SearchResponse[TextResult]]:
        """Searches the texts and returns the k that fit the query best.

        The arguments and errors are those of `search`. The joint layers match the query's pictures with the
        candidates; the query's texts are compared with them by their vectors alone.
        """
        options = SearchOptions(k, candidates, language, rerank, min_score, budget_ms)
        found = self._searched(self._texts, query if isinstance(query, list) else [query], options)
        return found if isinstance(query, list) else found[0]

    def calibrate(self, *, clock: Callable[[], float] = perf_counter) -> None:
        """Measures how long searches of pictures and of texts take on this machine, and stores the results.

        The first search with a budget does this by itself. Call it again if the machine was busy at that time.

        Args:
            clock: returns the current time in seconds.
        """
        for pipeline in (self._pictures, self._texts):
            if len(pipeline.items):
                self._measure(pipeline, clock)

    @property
    def reranks(self) -> bool:
        """Whether searches of pictures rerank, by a model that was trained to match or by another reranker."""
        return self._pictures.reranks

    @property
    def _costs(self) -> CostFile | None:
        folder = self._database.folder
        return CostFile(folder / "costs.json") if folder else None

    def _measure(self, pipeline: SearchPipeline[Any, Any], clock: Callable[[], float] = perf_counter) -> Costs:
        costs = measure(pipeline, clock)
        if self._costs:
            self._costs.save(pipeline, costs)
        return costs

    @property
    def _pictures(self) -> SearchPipeline[PictureFacts, SearchResult]:
        stores = self._database
        model = as_embedder(self.model)
        reranker = PixelReranker(self.reranker, model, stores.states) if self.reranker else None
        return SearchPipeline(
            model, stores.pictures, "image", picture_result, stores.states, self._read_sources, reranker
        )

    @property
    def _texts(self) -> SearchPipeline[TextFacts, TextResult]:
        stores = self._database
        model = as_embedder(self.model)
        return SearchPipeline(model, stores.texts, "text", text_result, stores.states, self._read_sources)

    def _searched(
        self, pipeline: SearchPipeline[AnyFacts, Result], queries: Sequence[str | Query], options: SearchOptions
    ) -> list[SearchResponse[Result]]:
        usable = [Query.of(query).usable() for query in queries]
        options.check(usable, pipeline)
        picks: list[Picked | None] = [None] * len(usable)
        if options.budget_ms is not None:
            as_matcher(self.model)
            least = 0 if options.min_score is None else 1
            picks = [self._pick(pipeline, query, options.budget_ms, least) for query in usable]
        default = CANDIDATES if options.candidates is None else options.candidates
        asked = [
            Asked(
                query,
                language_of(self.model, _texts_of(query), options.language),
                picked.candidates if picked else default,
                picked.depth if picked else 0,
            )
            for query, picked in zip(usable, picks, strict=True)
        ]
        found = pipeline.search_all(asked, k=options.k, rerank=options.rerank, min_score=options.min_score)
        another = self.reranker.name if self.reranker and pipeline.reranker and options.rerank else None
        return [
            replace(response, picked=picked, reranker=another) for response, picked in zip(found, picks, strict=True)
        ]

    def _pick(self, pipeline: SearchPipeline[AnyFacts, Result], query: Query, budget_ms: float, least: int) -> Picked:
        if not len(pipeline.items):
            return Picked(0, 0, 0.0)
        costs = (self._costs.load(pipeline) if self._costs else None) or self._measure(pipeline)
        return costs.pick(query, pipeline.modality, budget_ms, least)

    def ask(
        self, question: str, *, image: PathLike, language: str = AUTO, top: int = 5, answer_language: str = AUTO
    ) -> AskResponse:
        """Answers a question about one picture.

        A picture of the library is not opened again, unless its file has changed.

        Args:
            question: the question.
            image: the picture file; it need not be in the library.
            language: the language of the question, as in `search`.
            top: the number of answers to return, the most probable first; at least 1.
            answer_language: the language of the answers' words. `auto` means the question's language if it is known and
                has words for the answers, else English.

        Raises:
            QueryError: the question cannot be used.
            ConfigurationError: a language or a number does not fit, or the model was not trained to answer.
            PictureError: the file cannot be read.
        """
        return AskResponse(
            *self._asked(
                question, image, language, top, answer_language, partial(answer_question, as_answerer(self.model))
            )
        )

    def ask_tasks(
        self,
        question: str,
        *,
        image: PathLike,
        tasks: Sequence[PathLike],
        language: str = AUTO,
        top: int = 5,
        drop_depth: int | Literal["auto"] | None = None,
        budget_ms: float | None = None,
        answer_language: str = AUTO,
    ) -> AskTasksResponse:
        """Answers a question about one picture by several trained tasks at once.

        Args:
            question, image, language, top, answer_language: as in `ask`.
            tasks: the folders of tasks that were trained in the library's model.
            drop_depth, budget_ms: how each task is loaded, as in `load_task`.

        Raises:
            CheckpointError: a folder holds no task, or a task of another model.
            ConfigurationError: a task does not have the depth, or as in `ask`.
            QueryError: the question cannot be used.
            PictureError: the file cannot be read.
        """
        model = as_single_stream(self.model)
        trained = TaskModel(model, [load_task(Path(folder), drop_depth, budget_ms) for folder in tasks])
        return AskTasksResponse(
            *self._asked(question, image, language, top, answer_language, partial(answer_tasks, trained))
        )

    def _asked(
        self,
        question: str,
        image: PathLike,
        language: str,
        top: int,
        answer_in: str,
        answer: Callable[[str, str, TokenStates, int, str], _Given],
    ) -> tuple[str, str, _Given, dict[str, float], str, str, str | None]:
        """Returns the fields of a response in order; the third one is what `answer` returns."""
        text = usable_text(question, "question")
        language = language_of(self.model, question, language)
        answer_in = words.answer_language(answer_in, language)
        require_at_least(1, top, "top")
        path = absolute(image)
        started = perf_counter()
        picture = self._read_sources([path])
        read = perf_counter()
        answers = answer(text, language, picture, top, answer_in)
        ended = perf_counter()
        seconds = {"read": read - started, "answer": ended - read, "total": ended - started}
        milliseconds = {stage: 1000 * spent for stage, spent in seconds.items()}
        return text, path, answers, milliseconds, answer_in, self.model.name, note_on(self.model.name)

    def _read_sources(self, pictures: Sequence[PictureSource]) -> TokenStates:
        """Returns the states of pictures, one row each: stored ones if the library has them, else newly read ones."""
        known: dict[int, str] = {}
        opened: dict[int, Picture] = {}
        for row, picture in enumerate(pictures):
            if isinstance(picture, bytes | Image):
                opened[row] = self.model.open(picture)
            elif facts := self._known(absolute(picture)):
                known[row] = facts.content
            else:
                opened[row] = self._opened(absolute(picture))
        parts = [self.model.read(some) for some in batches(opened.values(), PICTURES)]
        if known:
            stored = self._database.states.get(list(known.values()))
            parts.append(TokenStates.load(stored, "image", self.model.device))
        places = {row: place for place, row in enumerate([*opened, *known])}
        return TokenStates.joined(parts)[[places[row] for row in range(len(pictures))]]

    def _known(self, path: str) -> PictureFacts | None:
        """Returns what the library knows about a picture, or None if it is unknown or its file has changed."""
        facts = self._database.pictures.find(path) if is_utf8(path) else None
        return None if facts is None or has_changed(self.model.identity, facts) else facts

    def _opened(self, path: str) -> Picture:
        try:
            return self.model.open(path)
        except PictureError as error:
            raise PictureError(f"{printable(path)}: {error}") from error


def library_without_pictures(model: Reader) -> Library:
    """Returns an empty library in memory, for asking a model questions; the model need not embed."""
    dim = as_embedder(model).embedding_dim if "embed" in model.tasks else 1
    return Library(MemoryDatabase(dim, _loaded(model)[1]), model)


def _folder(path: PathLike) -> Path:
    return Path(path).expanduser().resolve()


def _loaded(model: str | os.PathLike[str] | Reader) -> tuple[Reader, ReaderFacts]:
    """Returns the model and what a library stores about it."""
    loaded = load_model(model) if isinstance(model, str | os.PathLike) else model
    return loaded, ReaderFacts(loaded.name, loaded.source or "", loaded.fingerprint)


def _check(database: LanceDatabase, reader: ReaderFacts) -> None:
    """Raises LibraryMismatch unless `reader` read the library."""
    database.check(reader, both_bundled=is_bundled(reader.source) and is_bundled(database.reader.source))


def _remembered(database: LanceDatabase) -> str:
    """Returns the name or folder that loads the model that made the library."""
    reader = database.reader
    if not reader.source:
        raise ConfigurationError(
            f"the library at {database.folder} was read by {reader.name!r}, a model that was built in memory and that "
            "nothing loads again: name the model, Library.open(path, model=...)"
        )
    return reader.source


def _texts_of(query: Query) -> str:
    return " ".join(term.text for term in query.terms if term.text is not None)
