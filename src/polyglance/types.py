"""Values that several rooms hand to each other. No torch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Modality = Literal["text", "image"]
Task = Literal["embed", "match", "answer"]
"""What a model can do with what it has read."""


Progress = Callable[[int, int], None]
"""Called with the number of items that are done and the number of all items."""
StageProgress = Callable[[str, int, int, dict[str, float]], None]
"""Called with a stage's name, the number of its steps that are done, the number of all its steps, and its latest
figures, such as losses. The figures are empty in a stage that measures nothing. The first call of a training gives the
steps that an earlier run has done."""


@dataclass(frozen=True)
class Text:
    """A text as a model reads it. language: its code, or `auto` where nobody said it and nothing shows it."""

    text: str
    language: str = "auto"


@dataclass(frozen=True, eq=False)
class StoredStates:
    """Token states of one picture or text as a library keeps them: 8 bits a value, one scale a token.

    values: (tokens, width) int8. scales: (tokens,) float16; the states are `values * scales[:, None]`. vector:
    (embedding_dim,), of a model that embeds before it compresses.
    """

    values: NDArray[np.int8]
    scales: NDArray[np.float16]
    vector: NDArray[np.float32] | None = None

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + self.scales.nbytes + (0 if self.vector is None else self.vector.nbytes)


@dataclass(frozen=True)
class SearchResult:
    """One picture found.

    rank: the order of the results, from 1. score: the probability that the picture fits the query, which the reranker
    gives; None for a picture that was only retrieved. retrieval_score: the cosine of the vectors of picture and query.
    Pictures with a score come first, in its order; those without one follow in the order of their cosines.
    """

    path: str
    score: float | None
    retrieval_score: float
    rank: int


@dataclass(frozen=True)
class TextResult:
    """One text found, and the file that it stands in; otherwise as `SearchResult`."""

    text: str
    language: str
    source: str
    score: float | None
    retrieval_score: float
    rank: int


Result = TypeVar("Result", SearchResult, TextResult)


@dataclass(frozen=True)
class Picked:
    """What a budget of time allows: so many candidates, matched at a drop depth, for which the search is expected to
    take so long."""

    candidates: int
    depth: int
    expected_ms: float


@dataclass(frozen=True)
class SearchResponse(Generic[Result]):
    """What a search gives.

    milliseconds: `text`, `retrieve`, `rerank`, `total`. picked: None without a budget. reranker: where it is not the
    model. unopened: paths of candidates whose files the reranker could not open, so that they are not in `results`.
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
    """answer: as the model names it. word: the same in the language that was answered in."""

    answer: str
    probability: float
    word: str


@dataclass(frozen=True)
class AskResponse:
    """What a question gives.

    answers: the most probable first. milliseconds: `read`, `answer`, `total`. answer_language: of the answers' words.
    model: the name of the model that answered. note: what to know before trusting this model, or None.
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
    """What a trained task answers, most probable first."""

    task: str
    answers: list[Answer]


@dataclass(frozen=True)
class AskTasksResponse:
    """What a question to trained tasks gives, in the order in which they were named.

    milliseconds, answer_language, model, note: as of `AskResponse`.
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
    path: str
    reason: str


@dataclass(frozen=True)
class AwayPictures:
    """How many pictures below a folder are kept although their files are not there: the drive may not be mounted."""

    folder: str
    pictures: int


@dataclass
class IndexReport:
    """What an indexing run did, in files.

    failed: files that were skipped, with the reasons. away: by the folders that were named, pictures that are kept
    until they are back or are forgotten by `prune`. passed_over: files that are no pictures by their names, counted by
    suffix, the commonest first. seconds: of the run. pictures_per_second: of those that were added or moved.
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
    """A line of a file of texts that cannot be used; lines count from 1."""

    path: str
    line: int
    reason: str


@dataclass
class TextReport:
    """What an indexing run over a file of texts did, in texts; lines that failed are skipped and named."""

    added: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: list[FailedText] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class FolderInfo:
    """A folder, or a picture, that was named when its pictures were indexed. away: how many of them are not there."""

    path: str
    pictures: int
    away: int


@dataclass(frozen=True)
class LibraryInfo:
    """What a library holds.

    path: its folder, None of one in memory. pictures: files. away: how many of them are not there now, as on a drive
    that is not mounted. size: on disk, in bytes. model, source, fingerprint: the name of the model that read it, what
    loads that model (empty for one in memory), and a hash of its weights. languages: codes of those that it reads.
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
