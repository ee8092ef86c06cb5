"""How many candidates fit into a time: what the parts of a search take, measured once and kept with the library.

The model of costs is linear: reading each part of the query, retrieving, and for each part that is matched a start and
every candidate.
"""

import io
import json
import os
import platform
import statistics
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from polyglance.errors import ConfigurationError
from polyglance.query import Query
from polyglance.search.pipeline import SearchPipeline
from polyglance.search.reranker import Reranker
from polyglance.search.retriever import Retriever
from polyglance.search.terms import ReadTerm, matched, query_vector
from polyglance.types import Modality, Picked

COUNTS: Final = (1, 5, 10, 20, 50, 100)
"""Candidates that are timed; the last is the most that a budget picks."""
ROUNDS: Final = 5
_TEXT: Final = "a red star to the left of a small dog on a white plate"
_LIKE: Final = 2
"""A library that has grown or shrunk by more than this factor is measured anew."""


@dataclass(frozen=True)
class Costs:
    """Milliseconds, medians. text, picture: to read one part of a query. retrieve: to find candidates. rerank, pair: to
    match a part of the query with any candidates, and with each of them."""

    text: float
    picture: float
    retrieve: float
    rerank: float
    pair: float

    def expected(self, query: Query, modality: Modality, candidates: int) -> float:
        """Of a search among items of this modality."""
        texts = sum(term.text is not None for term in query.terms)
        pictures = len(query.terms) - texts
        rerank = self.rerank + self.pair * candidates if candidates else 0.0
        return texts * self.text + pictures * self.picture + self.retrieve + matched(query, modality) * rerank

    def pick(self, query: Query, modality: Modality, budget_ms: float, least: int = 0) -> Picked:
        """The most candidates that fit, and `least` of them at least; none is a search by vectors alone.

        Raises ConfigurationError where not even the least fits.
        """
        for candidates in range(COUNTS[-1], least - 1, -1):
            milliseconds = self.expected(query, modality, candidates)
            if milliseconds <= budget_ms:
                return Picked(candidates, round(milliseconds, 2))
        raise ConfigurationError(
            f"expected a budget of at least {milliseconds:.1f} ms, which it takes here to read the query, retrieve and "
            f"rerank {least}; got {budget_ms:g}"
        )


def measure(pipeline: SearchPipeline[Any, Any], clock: Callable[[], float] = perf_counter) -> Costs:
    """What searches of a pipeline take, which holds something. clock: in seconds."""
    model, blank = pipeline.model, _blank_picture()

    def milliseconds(run: Callable[[], object]) -> float:
        run()
        taken = []
        for _ in range(ROUNDS):
            started = clock()
            run()
            taken.append(1000 * (clock() - started))
        return statistics.median(taken)

    def read_text() -> ReadTerm:
        return ReadTerm(model.read_text(model.tokenize([_TEXT])), 1.0)

    def read_picture() -> ReadTerm:
        return ReadTerm(pipeline.read_picture(blank), 1.0)

    asked = [read_text() if pipeline.modality == "image" else read_picture()]
    retriever, reranker = Retriever(pipeline.items), Reranker(model, pipeline.states, pipeline.modality)
    hits = retriever.retrieve(query_vector(model, asked), COUNTS[-1])
    candidates = [[hits[number % len(hits)] for number in range(count)] for count in COUNTS]
    reranked = [milliseconds(partial(reranker.rerank, asked, some)) for some in candidates]
    pair, rerank = np.polyfit(COUNTS, reranked, 1).clip(0).tolist()
    return Costs(
        text=milliseconds(read_text),
        picture=milliseconds(read_picture),
        retrieve=milliseconds(lambda: retriever.retrieve(query_vector(model, asked), COUNTS[-1])),
        rerank=rerank,
        pair=pair,
    )


@dataclass(frozen=True)
class CostFile:
    """Costs on disk, for each machine and modality those that were measured last.

    A file that cannot be read holds nothing, and one that cannot be written is left: costs are then measured again.
    """

    path: Path

    def load(self, pipeline: SearchPipeline[Any, Any]) -> Costs | None:
        """None where none were measured on this machine with this model and about as many items."""
        entry = self._entries().get(_place(pipeline), {})
        try:
            items = entry["items"] / len(pipeline.items)
            if entry["model"] != pipeline.model.fingerprint or not 1 / _LIKE <= items <= _LIKE:
                return None
            return Costs(**entry["costs"])
        except (KeyError, TypeError):
            return None

    def save(self, pipeline: SearchPipeline[Any, Any], costs: Costs) -> None:
        entry = {"model": pipeline.model.fingerprint, "items": len(pipeline.items), "costs": asdict(costs)}
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        with suppress(OSError):
            draft.write_text(json.dumps({**self._entries(), _place(pipeline): entry}, indent=1) + "\n", "utf-8")
            draft.replace(self.path)

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


def _blank_picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (256, 256), "white").save(buffer, "PNG")
    return buffer.getvalue()
