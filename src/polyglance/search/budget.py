"""How many candidates fit into a time, and at which drop depth: what the parts of a search take, measured once and kept
with the library.

The model of costs is linear: reading each part of the query, retrieving, and for each part that is matched a start and
every candidate, both by the depth. What a depth is worth the model says itself (`Matcher.recall_by_depth`).
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
"""Candidates that are timed; the last is the most that a budget picks."""
ROUNDS: Final = 5
_TEXT: Final = "a red star to the left of a small dog on a white plate"
TOLERATED: Final = 0.5
"""Points of R@1 that a depth may lose to be picked."""
_LIKE: Final = 2
"""A library that has grown or shrunk by more than this factor is measured anew."""


@dataclass(frozen=True)
class Matching:
    """Milliseconds, medians, to match a part of the query at a drop depth: with any candidates, and with each."""

    depth: int
    start: float
    pair: float

    def expected(self, candidates: int) -> float:
        return self.start + self.pair * candidates if candidates else 0.0


@dataclass(frozen=True)
class Costs:
    """Milliseconds, medians.

    text, picture: to read one part of a query and make its vector. retrieve: to find candidates. matching: by the
    depths that may be picked, 0 and up.
    """

    text: float
    picture: float
    retrieve: float
    matching: tuple[Matching, ...]

    def expected(self, query: Query, modality: Modality, matching: Matching, candidates: int) -> float:
        """Of a search among items of this modality."""
        texts = sum(term.text is not None for term in query.terms)
        read = texts * self.text + sum(term.picture is not None for term in query.terms) * self.picture
        return read + self.retrieve + matched(query, modality) * matching.expected(candidates)

    def pick(self, query: Query, modality: Modality, budget_ms: float, least: int = 0) -> Picked:
        """The most candidates that fit at any depth, and of the depths at which they fit the lowest.

        Candidates go first: a depth is among those measured only where it loses next to nothing, and a candidate that
        is left out may be the right one. least: of the candidates; none is a search by vectors alone.

        Raises ConfigurationError where not even the least fits.
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
    """Those at which a match loses at most `TOLERATED`, as the model says; 0 alone where it does not say."""
    recalls = model.recall_by_depth or (0.0,)
    return [depth for depth, recall in enumerate(recalls) if recall >= recalls[0] - TOLERATED]


def measure(pipeline: SearchPipeline[Any, Any], clock: Callable[[], float] = perf_counter) -> Costs:
    """What searches of a pipeline take, which holds something. clock: in seconds."""
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
    """Milliseconds of each. They take turns, so that a busy while of the machine is none of one alone; the first turn
    does not count."""
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
    """Costs on disk, for each machine and modality those that were measured last.

    A file that cannot be read holds nothing, and one that cannot be written is left: costs are then measured again.
    """

    path: Path

    def load(self, pipeline: SearchPipeline[Any, Any]) -> Costs | None:
        """None where none were measured on this machine with this model, its depths and about as many items."""
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
