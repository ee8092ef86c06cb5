"""Values that several parts of the package exchange. Does not import torch."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Modality = Literal["text", "image"]
Task = Literal["embed", "match", "answer"]
"""What a model can be trained to do with token states: embed them, match a text and a picture, answer a question."""


PathLike = str | os.PathLike[str]
Progress = Callable[[int, int], None]
"""Called with the number of items that are done and the number of all items."""
StageProgress = Callable[[str, int, int, dict[str, float]], None]
"""Called with a stage's name, the number of its steps that are done, the number of all its steps, and its latest
figures, such as losses. The figures are empty in a stage that measures nothing. The first call of a training gives the
steps that an earlier run has done."""


@dataclass(frozen=True)
class Text:
    """A text as a model reads it.

    language: the code of its language, or `auto` if the language is unknown.
    """

    text: str
    language: str = "auto"


@dataclass(frozen=True, eq=False)
class StoredStates:
    """Token states of one picture or text as a library stores them, with 8 bits for each value.

    values: (tokens, width), int8. scales: (tokens,), float16; the states are `values * scales[:, None]`. vector:
    (embedding_dim,), float32; the embedding, if the model embeds before it compresses, else None.
    """

    values: NDArray[np.int8]
    scales: NDArray[np.float16]
    vector: NDArray[np.float32] | None = None

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + self.scales.nbytes + (0 if self.vector is None else self.vector.nbytes)


@dataclass(frozen=True)
class SearchResult:
    """A picture that a search found.

    Pictures with a score come first, ordered by it. Pictures without one follow, ordered by their cosines.

    path: the absolute path of the file. score: the probability that the picture fits the query, from the reranker; None
    for a picture that was only retrieved. retrieval_score: the cosine of the picture's and the query's vectors. rank:
    the position among the results, from 1.
    """

    path: str
    score: float | None
    retrieval_score: float
    rank: int


@dataclass(frozen=True)
class TextResult:
    """A text that a search found.

    source: the file that contains the text. score, retrieval_score, rank: as in `SearchResult`.
    """

    text: str
    language: str
    source: str
    score: float | None
    retrieval_score: float
    rank: int


Result = TypeVar("Result", SearchResult, TextResult)


@dataclass(frozen=True)
class Picked:
    """The settings that were picked to fit a time budget.

    candidates: how many candidates are reranked. depth: the drop depth of their matches. expected_ms: the expected time
    of the search in milliseconds.
    """

    candidates: int
    depth: int
    expected_ms: float


@dataclass(frozen=True)
class SearchResponse(Generic[Result]):
    """The results of a search.

    query: the query as text. language: the language that its texts were read in. model: the name of the model.
    milliseconds: the times of `text`, `retrieve`, `rerank` and `total`. picked: the settings that fit the budget; None
    without a budget. reranker: the name of the reranker; None if it is the model. unopened: the paths of candidates
    whose files the reranker could not open; they are not in `results`.
    """

    query: str
    language: str
    model: str
    results: list[Result]
    milliseconds: dict[str, float]
    picked: Picked | None = None
    reranker: str | None = None
    unopened: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """An answer to a question.

    answer: the answer as the model names it. probability: how probable the model finds it. word: the answer in the
    language of the response.
    """

    answer: str
    probability: float
    word: str


@dataclass(frozen=True)
class AskResponse:
    """The answers to a question about a picture.

    path: the absolute path of the picture. answers: the most probable first. milliseconds: the times of `read`,
    `answer` and `total`. answer_language: the language of the answers' words. model: the name of the model that
    answered. note: what to know before trusting this model, or None.
    """

    question: str
    path: str
    answers: list[Answer]
    milliseconds: dict[str, float]
    answer_language: str
    model: str
    note: str | None


@dataclass(frozen=True)
class TaskAnswers:
    """The answers of one trained task, the most probable first.

    task: the name of the task.
    """

    task: str
    answers: list[Answer]


@dataclass(frozen=True)
class AskTasksResponse:
    """The answers of several trained tasks to a question about a picture.

    tasks: the answers of each task, in the order of the request. The other fields are those of `AskResponse`.
    """

    question: str
    path: str
    tasks: list[TaskAnswers]
    milliseconds: dict[str, float]
    answer_language: str
    model: str
    note: str | None


@dataclass(frozen=True)
class FailedPicture:
    """A picture file that could not be read, and the reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class AwayPictures:
    """The number of pictures below a folder that are kept although their files are missing.

    The files may be on a drive that is not mounted.
    """

    folder: str
    pictures: int


@dataclass
class IndexReport:
    """What an indexing run did, counted in files.

    failed: the files that were skipped, with the reasons. away: for each named folder, the number of missing pictures
    that are kept until they return or `prune` forgets them. passed_over: how many files do not have the name of a
    picture, by suffix, the most common first. seconds: the duration of the run. pictures_per_second: how many pictures
    were added or moved per second.
    """

    added: int = 0
    unchanged: int = 0
    moved: int = 0
    removed: int = 0
    failed: list[FailedPicture] = field(default_factory=list)
    away: list[AwayPictures] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    pictures_per_second: float = 0.0


@dataclass(frozen=True)
class FailedText:
    """A line of a text file that cannot be used. Lines count from 1."""

    path: str
    line: int
    reason: str


@dataclass
class TextReport:
    """What an indexing run over text files did, counted in texts.

    failed: the lines that were skipped, with the reasons. seconds: the duration of the run.
    """

    added: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: list[FailedText] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class FolderInfo:
    """A folder or picture file that was named in an indexing run.

    pictures: the number of its pictures in the library. away: how many of their files are missing now.
    """

    path: str
    pictures: int
    away: int


@dataclass(frozen=True)
class LibraryInfo:
    """What a library holds.

    path: the library's folder; None for a library in memory. pictures: the number of picture files. away: how many of
    these files are missing now, for example on an unmounted drive. texts: the number of texts. size: the size on disk
    in bytes. model: the name of the model that read the library. source: the name or folder that loads this model;
    empty for a model that was built in memory. fingerprint: a hash of the model's weights. languages: the codes of the
    languages that the model reads. folders: the folders that were indexed.
    """

    path: str | None
    pictures: int
    away: int
    texts: int
    size: int
    model: str
    source: str
    fingerprint: str
    languages: tuple[str, ...]
    folders: list[FolderInfo]
