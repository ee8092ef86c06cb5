"""Picks the number of candidates and the drop depth that fit a time budget, from costs stored with the library.

The cost model is linear. A search takes a time for reading each part of the query, a time for retrieval, and for each
part that is matched a start-up time and a time per candidate, which both depend on the depth. The model itself says how
good its matches are at each depth (`Matcher.recall_by_depth`).
"""

import json
import platform
import statistics
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import torch

from polyglance import atomic
from polyglance.errors import ConfigurationError
from polyglance.languages import AUTO
from polyglance.models.capabilities import as_matcher
from polyglance.models.protocol import Matcher
from polyglance.query import Query
from polyglance.search.pipeline import SearchPipeline
from polyglance.search.reranker import StateReranker
from polyglance.search.retriever import Retriever
from polyglance.search.terms import ReadTerm, matched, query_vector
from polyglance.store.protocols import Hit
from polyglance.types import Modality, Picked

COUNTS: Final = (1, 5, 10, 20, 50, 100)
"""The numbers of candidates that are timed. A budget picks at most the last one."""
ROUNDS: Final = 5
_TEXT: Final = "a red star to the left of a small dog on a white plate"
TOLERATED: Final = 0.5
"""The points of R@1 that a depth may lose and still be picked."""
_LIKE: Final = 2
"""Costs are measured again when a library has grown or shrunk by more than this factor."""


@dataclass(frozen=True)
class Matching:
    """The median time to match a part of the query at a drop depth, in milliseconds.

    depth: the drop depth. start: the time that does not depend on the number of candidates. pair: the time for each
    candidate.
    """

    depth: int
    start: float
    pair: float

    def expected(self, candidates: int) -> float:
        return self.start + self.pair * candidates if candidates else 0.0


@dataclass(frozen=True)
class Costs:
    """The median times of the parts of a search, in milliseconds.

    text, picture: to read one text or picture of a query and embed it. retrieve: to retrieve the candidates. matching:
    to match them, for each depth that may be picked, starting with 0.
    """

    text: float
    picture: float
    retrieve: float
    matching: tuple[Matching, ...]

    def expected(self, query: Query, modality: Modality, matching: Matching, candidates: int) -> float:
        """Returns the expected time of a search among items of this modality, in milliseconds."""
        texts = sum(term.text is not None for term in query.terms)
        read = texts * self.text + sum(term.picture is not None for term in query.terms) * self.picture
        return read + self.retrieve + matched(query, modality) * matching.expected(candidates)

    def pick(self, query: Query, modality: Modality, budget_ms: float, least: int = 0) -> Picked:
        """Picks the largest number of candidates that fits at any depth, and the lowest depth at which it fits.

        The number of candidates comes first, because every depth that was measured loses almost nothing, while a
        candidate that is left out may be the right one.

        budget_ms: the budget in milliseconds. least: the smallest number of candidates to pick; 0 allows a search by
        vectors alone.

        Raises:
            ConfigurationError: not even `least` candidates fit.
        """
        for candidates in range(COUNTS[-1], least - 1, -1):
            expected = {one.depth: self.expected(query, modality, one, candidates) for one in self.matching}
            for depth, milliseconds in expected.items():
                if milliseconds <= budget_ms:
                    return Picked(candidates, depth, round(milliseconds, 2))
        raise ConfigurationError(
            f"expected a budget of at least {min(expected.values()):.1f} ms, which it takes here to read the query, "
            f"retrieve and rerank {least}; got {budget_ms:g}"
        )


def depths(model: Matcher) -> list[int]:
    """Returns the depths at which a match loses at most `TOLERATED`, or only 0 if the model does not say."""
    recalls = model.recall_by_depth or (0.0,)
    return [depth for depth, recall in enumerate(recalls) if recall >= recalls[0] - TOLERATED]


def measure(pipeline: SearchPipeline[Any, Any], clock: Callable[[], float] = perf_counter) -> Costs:
    """Measures the costs of searches.

    pipeline: must have at least one item. clock: returns the current time in seconds.
    """
    model, matcher = pipeline.model, as_matcher(pipeline.model)

    def read_text() -> Sequence[ReadTerm]:
        return pipeline.read([Query.text(_TEXT)], [AUTO])[0]

    def read_picture() -> Sequence[ReadTerm]:
        states = model.read([model.empty_picture()])  # no file: a model may read what lies beside one
        return [ReadTerm(model.embed(states)[0], 1.0, states)]

    asked = read_text() if pipeline.modality == "image" else read_picture()

    def retrieve() -> list[Hit[Any]]:
        return Retriever(pipeline.items).retrieve(query_vector(asked)[None], COUNTS[-1])[0]

    text, picture, retrieved = _medians([read_text, read_picture, retrieve], clock)
    hits = retrieve()
    candidates = [[hits[number % len(hits)] for number in range(count)] for count in COUNTS]
    rerankers = [StateReranker[Any](model, pipeline.states, pipeline.modality, depth) for depth in depths(matcher)]
    taken = _medians([partial(one.rerank, asked, some) for some in candidates for one in rerankers], clock)
    lines = np.polyfit(COUNTS, np.reshape(taken, (len(COUNTS), -1)), 1).clip(0).T.tolist()
    matching = (Matching(one.depth, start, pair) for one, (pair, start) in zip(rerankers, lines, strict=True))
    return Costs(text, picture, retrieved, tuple(matching))


def _medians(runs: Sequence[Callable[[], object]], clock: Callable[[], float]) -> list[float]:
    """Returns the median time of each run in milliseconds.

    The runs take turns, so that a busy period of the machine affects all of them. The first turn does not count.
    """
    taken: list[list[float]] = [[] for _ in runs]
    for turn in range(ROUNDS + 1):
        for run, times in zip(runs, taken, strict=True):
            started = clock()
            run()
            if turn:
                times.append(1000 * (clock() - started))
    return list(map(statistics.median, taken))


@dataclass(frozen=True)
class CostFile:
    """A file with the latest costs for each machine and modality.

    A file that cannot be read counts as empty, and a failure to write is ignored. The costs are then measured again.
    """

    path: Path

    def load(self, pipeline: SearchPipeline[Any, Any]) -> Costs | None:
        """Returns the costs measured on this machine with this model, its depths and about as many items, or None."""
        entry = self._entries().get(_place(pipeline), {})
        try:
            items = entry["items"] / len(pipeline.items)
            if entry["model"] != pipeline.model.fingerprint or not 1 / _LIKE <= items <= _LIKE:
                return None
            matching = tuple(Matching(**one) for one in entry["costs"]["matching"])
            costs = Costs(**{**entry["costs"], "matching": matching})
            return costs if [one.depth for one in matching] == depths(as_matcher(pipeline.model)) else None
        except (KeyError, TypeError):
            return None

    def save(self, pipeline: SearchPipeline[Any, Any], costs: Costs) -> None:
        entry = {"model": pipeline.model.fingerprint, "items": len(pipeline.items), "costs": asdict(costs)}
        with suppress(OSError):
            atomic.write_text(self.path, json.dumps({**self._entries(), _place(pipeline): entry}, indent=1) + "\n")

    def _entries(self) -> dict[str, Any]:
        try:
            entries = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}


def _place(pipeline: SearchPipeline[Any, Any]) -> str:
    return f"{pipeline.modality}, {_processor()}, {torch.get_num_threads()} threads"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
