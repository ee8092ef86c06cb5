"""A library: a folder that holds what a model read from pictures and texts, to be searched and asked without opening
them again.

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
from polyglance.indexing.missing import PathLike, absolute, is_away
from polyglance.indexing.pictures import PictureRun, has_changed, remove_pictures
from polyglance.indexing.reading import batches
from polyglance.indexing.texts import TextRun
from polyglance.languages import AUTO
from polyglance.models import FOR_PHOTOGRAPHS, load_model, note_on
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
from polyglance.store.protocols import AnyFacts, Database, PictureFacts, TextFacts
from polyglance.store.protocols import Reader as ReaderFacts
from polyglance.types import (
    AskResponse,
    AskTasksResponse,
    FolderInfo,
    IndexReport,
    LibraryInfo,
    Picked,
    Progress,
    Result,
    SearchResponse,
    SearchResult,
    TextReport,
    TextResult,
)

CANDIDATES: Final = 20
"""Retrieved and reranked where nobody says otherwise."""

_Given = TypeVar("_Given")
_Asked = TypeVar("_Asked", bound=str | Query)


class Library:
    """Pictures and texts that one model has read. `Library.create` makes one, `Library.open` opens one.

    It is a context manager that closes itself.
    """

    def __init__(self, database: Database, model: Reader, reranker: PairScorer | None = None) -> None:
        self.model = model
        self.reranker = reranker
        self._open: Database | None = database
        self._folder = database.folder

    @classmethod
    def create(cls, path: PathLike, *, model: str | os.PathLike[str] | Reader | None = None) -> Self:
        """An empty library in the folder `path`, which must be empty or missing.

        model: the model that is to read the library, or the name or folder of one. None is
            google/siglip2-base-patch16-256, which is fetched from the Hugging Face hub unless its cache has it.

        Raises:
            LibraryError: there is a library already.
            ConfigurationError: there is no such model, it was not trained to embed, or the folder holds something else.
        """
        folder = _folder(path)
        if LanceDatabase.exists(folder):
            raise LibraryError(f"expected no library at {folder} yet, but there is one: open it with Library.open")
        loaded, reader = _loaded(FOR_PHOTOGRAPHS if model is None else model)
        LanceDatabase.create(folder, as_embedder(loaded).embedding_dim, reader)
        database = LanceDatabase(folder)
        database.check(reader)  # another run may have been quicker, with another model
        return cls(database, loaded)

    @classmethod
    def open(
        cls,
        path: PathLike,
        *,
        model: str | os.PathLike[str] | Reader | None = None,
        reranker: str | os.PathLike[str] | Reader | PairScorer | None = None,
    ) -> Self:
        """The library in the folder `path`.

        model: the model that read the library, or the name or folder of one, such as that model with a language added.
            None is the one that made the library.
        reranker: puts retrieved pictures in order instead of the model: a model that matches, or its name or folder; or
            `st:NAME`, a cross-encoder of sentence-transformers. It opens the candidates' files in every search.

        Raises:
            LibraryMissing: there is none.
            LibraryMismatch: another model made it; the message holds the command that reads the pictures anew.
            LibraryDamaged: its files are torn.
            ConfigurationError: there is no such model; or none is named, and the library was made by one in memory.
        """
        database = LanceDatabase(_folder(path))
        loaded, reader = _loaded(_remembered(database) if model is None else model)
        database.check(reader)
        return cls(database, loaded, None if reranker is None else load_reranker(reranker))

    def close(self) -> None:
        """Let go of the library's files. To close it again is no error, and all other use of it raises LibraryError."""
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
        """Picture files in the library."""
        return len(self._database.pictures)

    def paths(self) -> list[str]:
        """The paths of all pictures, absolute, sorted."""
        return [facts.path for facts in self._database.pictures.facts()]

    def info(self) -> LibraryInfo:
        """What the library holds, and of which pictures the files are not there now."""
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
        """Make the library agree with these folders, and read no picture twice.

        A file whose size and time are as they were is not opened; one whose content is known, because it was moved,
        copied or only touched, is not read again. What is gone from the folders leaves the library; pictures of other
        folders stay, unless they have moved into these. Pictures are kept, and reported as away, if a folder that held
        them is not there or is empty, as that of a drive that is not mounted, or if more pictures of a folder that was
        named are missing than are still there.

        What cannot be read is counted under `failed` and the run goes on; it keeps its old reading, unless its content
        has changed. Interrupted at any point, the next run goes on where this one was.

        prune: forget pictures that are away. progress: called with the number of files done and of all files.

        Raises DataError for a folder that does not exist and below which no picture is known, LibraryError when another
        run is adding or the disk is full.
        """
        model = as_embedder(self.model)
        named = [folders] if isinstance(folders, str | os.PathLike) else folders
        with self._database.writer():
            run = PictureRun(lambda: model, model.identity, self._database, named, prune=prune)
            return run.run(progress or (lambda done, total: None))

    def add_texts(self, files: PathLike | Sequence[PathLike], *, progress: Progress | None = None) -> TextReport:
        """Make the library agree with files of texts, one a line or captions in JSON Lines, and read none twice.

        What is gone from a file leaves the library; texts of other files stay. A line that cannot be used is named
        under `failed` and the run goes on. Interrupted at any point, the next run goes on where this one was.

        Raises DataError for a file that cannot be read, LibraryError as `add` does.
        """
        model = as_embedder(self.model)
        named = [files] if isinstance(files, str | os.PathLike) else files
        with self._database.writer():
            return TextRun(model, self._database, named).run(progress or (lambda done, total: None))

    def remove(self, paths: PathLike | Sequence[PathLike]) -> int:
        """Forget pictures; how many there were. Their files stay, and the next `add` of their folder reads them again.

        paths: of pictures, or of folders, of which all pictures are forgotten; whether the files are there or not.

        Raises DataError for a path of which the library holds no picture, and forgets none then; LibraryError as `add`.
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
        """The k pictures that the query fits best; of those retrieved, the first `candidates` are reranked.

        A list of queries gives a list of responses. They are read in one batch and retrieved by one matrix product,
        which takes less time than one search after another; `text` and `retrieve` in the milliseconds of each response
        are those of all.

        query: a text, or a sum of texts, pictures and vectors; or a list of such. candidates: 20 if None. language: of
        its texts, a code the model knows, or a tag such as de-DE; `auto` is told from them where they show it.
        min_score: leaves out what was not found to fit with this probability, which may be all. budget_ms: milliseconds
        for each search, by which candidates and the drop depth of their matches are picked from what searches take on
        this machine; that is measured when first needed.

        Raises QueryError for a text, a vector or a sum that cannot be used, PictureError for a picture that cannot be
        read, ConfigurationError for a language or number that does not fit, or a model that was not trained to embed.
        Where nothing can match, what was retrieved is given as it is.
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
        """The k texts that fit the query best, as `search` finds pictures: here its pictures are held against the
        candidates by the joint layers, and its texts by their vectors alone."""
        options = SearchOptions(k, candidates, language, rerank, min_score, budget_ms)
        found = self._searched(self._texts, query if isinstance(query, list) else [query], options)
        return found if isinstance(query, list) else found[0]

    def calibrate(self, *, clock: Callable[[], float] = perf_counter) -> None:
        """Measure anew what searches take on this machine, among pictures and among texts, and keep it.

        A search with a budget does this by itself where it was not done; call it when the machine was busy then.
        """
        for pipeline in (self._pictures, self._texts):
            if len(pipeline.items):
                self._measure(pipeline, clock)

    @property
    def reranks(self) -> bool:
        """Whether searches for pictures have a second stage: a model that was trained to match, or another reranker."""
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
        usable = [(Query.text(query) if isinstance(query, str) else query).usable() for query in queries]
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
        """The `top` most probable answers about one picture, from what was stored of it or else from the file.

        answer_language: of the answers' words; `auto` is the question's where it is known and has some, else English.

        Raises QueryError and ConfigurationError as `search` does, and PictureError for a file that cannot be read.
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
        """What tasks that were trained in the library's model answer, all at once.

        tasks: their folders. drop_depth, budget_ms: of each, as in `load_task`. answer_language: as of `ask`.

        Raises CheckpointError for a folder that is no task, or one of another model, ConfigurationError for a depth
        that it does not have; otherwise as `ask`.
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
        """The fields of a response in their order; the third one is what `answer` gives."""
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
        """The states of pictures, a row each: as the library holds them, or else read in one batch."""
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
        """What the library holds of a picture that has not changed since."""
        facts = self._database.pictures.find(path) if is_utf8(path) else None
        return None if facts is None or has_changed(self.model.identity, facts) else facts

    def _opened(self, path: str) -> Picture:
        try:
            return self.model.open(path)
        except PictureError as error:
            raise PictureError(f"{printable(path)}: {error}") from error


def library_without_pictures(model: Reader) -> Library:
    """An empty library in memory, to ask questions of a model; it may be one that does not embed."""
    dim = as_embedder(model).embedding_dim if "embed" in model.tasks else 1
    return Library(MemoryDatabase(dim, _loaded(model)[1]), model)


def _folder(path: PathLike) -> Path:
    return Path(path).expanduser().resolve()


def _loaded(model: str | os.PathLike[str] | Reader) -> tuple[Reader, ReaderFacts]:
    """(the model, what a library knows of it)."""
    loaded = load_model(model) if isinstance(model, str | os.PathLike) else model
    return loaded, ReaderFacts(loaded.name, loaded.source or "", loaded.fingerprint)


def _remembered(database: LanceDatabase) -> str:
    """What loads the model that made the library."""
    reader = database.reader
    if not reader.source:
        raise ConfigurationError(
            f"the library at {database.folder} was read by {reader.name!r}, a model that was built in memory and that "
            "nothing loads again: name the model, Library.open(path, model=...)"
        )
    return reader.source


def _texts_of(query: Query) -> str:
    return " ".join(term.text for term in query.terms if term.text is not None)
