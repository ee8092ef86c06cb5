"""Evaluates models as retrieval systems on pools of captions: twin encoder, cross-encoder, or both cooperating."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from typing import Final, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polyglance.errors import ConfigurationError, DataError
from polyglance.evaluation.pools import Direction, Pool
from polyglance.evaluation.retrieval import PAIRS, Ranking, blended, match, reordered, retrieve
from polyglance.evaluation.runs import Run, Scores, score
from polyglance.models.capabilities import as_embedder, as_matcher
from polyglance.models.protocol import Reader
from polyglance.models.reading import embed_all, read_readable, read_texts
from polyglance.nn.states import TokenStates
from polyglance.types import StageProgress

DEPTH: Final = 100
"""The number of items ranked for each query, unless there are more candidates."""
TIMED: Final = 20
"""The number of queries that are timed."""


@dataclass(frozen=True, eq=False)
class System:
    """The way items are ranked (arXiv:2103.11920, section 3).

    A retriever alone is the twin encoder and a reranker alone the cross-encoder over all pairs. Both together are the
    cooperative system: `joint` for one model, `separate` for two.

    candidates: the number of items reranked per query. blend: the share of the cosine in their order, besides the
    probability of the match.
    """

    retriever: Reader | None
    reranker: Reader | None
    candidates: int = 20
    blend: float = 0.0

    def __post_init__(self) -> None:
        if self.retriever is None and self.reranker is None:
            raise ConfigurationError("expected a retriever, a reranker or both, got neither")
        if self.candidates < 1:
            raise ConfigurationError(f"expected one candidate or more, got {self.candidates}")
        if not 0 <= self.blend <= 1:
            raise ConfigurationError(f"expected a blend from 0 to 1, got {self.blend:g}")

    @property
    def models(self) -> tuple[Reader, ...]:
        there = [model for model in (self.retriever, self.reranker) if model is not None]
        return tuple({id(model): model for model in there}.values())


class Evaluation:
    """The evaluation of a system on pools of captions.

    Pictures are read once and kept in 8 bits, as in a library. Unreadable ones are removed from the pools with their
    texts; `skipped` holds the reasons.

    pools: of one language each. distractors: additional pictures that no text is true of.

    Raises DataError if no picture of a pool can be read, or a pool has fewer items than there are candidates.
    """

    def __init__(
        self,
        system: System,
        pools: Sequence[Pool],
        distractors: Sequence[Path] = (),
        progress: StageProgress | None = None,
    ) -> None:
        self.system, self.progress = system, progress
        if system.retriever and system.reranker:
            for pool in pools:
                if (items := min(len(pool.texts), len(pool.images))) < system.candidates:
                    raise DataError(
                        f"expected {system.candidates} items or more in {pool.language} to choose candidates from, got "
                        f"{items}: take fewer candidates"
                    )
        paths = list(dict.fromkeys([*(path for pool in pools for path in pool.images), *distractors]))
        read = {id(model): self._read(model, paths) for model in system.models}
        failed = {path: reason for _, unread in read.values() for path, reason in unread.items()}
        self.skipped = {str(path): reason for path, reason in failed.items()}
        self.pools = [pool.without(failed) for pool in pools]
        self._row = {path: row for row, path in enumerate(path for path in paths if path not in failed)}
        own = {path for pool in self.pools for path in pool.images}
        self._distractors = torch.tensor([row for path, row in self._row.items() if path not in own], dtype=torch.long)
        self._images = {
            key: states[
                [row for row, path in enumerate(one for one in paths if one not in unread) if path in self._row]
            ]
            for key, (states, unread) in read.items()
        }

    def scores(self, directions: Sequence[Direction] = get_args(Direction)) -> list[Scores]:
        """Returns the scores of every pool in each direction."""
        return [score(self.run(pool, direction), pool, direction) for pool in self.pools for direction in directions]

    def run(self, pool: Pool, direction: Direction) -> Run:
        """Ranks the items for each query, best first; distractors are numbered after the pool's own items."""
        sides = {id(model): self._side(model, pool, direction) for model in self.system.models}
        found = self._retrieved(sides)
        if self.system.reranker is None:
            return found.order.tolist()
        chosen, scores = self._judged(sides, found)
        if self.system.retriever and self.system.blend:
            cosines = sides[id(self.system.retriever)].cosines(chosen)
            slope, offset = as_matcher(self.system.reranker).calibration
            scores = blended(slope * scores + offset, cosines, self.system.blend)
        return reordered(found, scores).order.tolist()

    def logits(self, pool: Pool) -> tuple[Float[Tensor, "texts candidates"], Bool[Tensor, "texts candidates"]]:
        """Returns the cross-encoder's logits of each text's candidates, and which candidates are right.

        Without a retriever, the candidates are those with the highest logits.
        """
        sides = {id(model): self._side(model, pool, "text_to_image") for model in self.system.models}
        chosen, scores = self._judged(sides, self._retrieved(sides))
        best = scores.topk(min(self.system.candidates, scores.shape[1]))
        there = chosen.gather(1, best.indices).tolist()
        fits = pool.right("text_to_image")
        return best.values, torch.tensor([[item in fits[text] for item in row] for text, row in enumerate(there)])

    def milliseconds(self, pool: Pool, queries: int = TIMED) -> dict[str, float]:
        """Returns the median times for one text at a time: reading it (`text`), `retrieve`, `rerank` and `total`."""
        taken: dict[str, list[float]] = {"text": [], "retrieve": [], "rerank": [], "total": []}
        sides = {id(model): self._side(model, pool, "text_to_image") for model in self.system.models}
        count = min(queries, len(pool.texts))
        for number in range(-1, count):
            self._tell("timing", number + 1, count + 1)
            clock = [perf_counter()]
            read = {id(model): read_texts(model, [pool.texts[number]], [pool.language]) for model in self.system.models}
            clock.append(perf_counter())
            asked = {key: replace(side, queries=read[key]) for key, side in sides.items()}
            found = self._retrieved(asked)
            clock.append(perf_counter())
            if self.system.reranker is not None:
                candidates = self.system.candidates if self.system.retriever else found.order.shape[1]
                self._matched(asked[id(self.system.reranker)], found.order[:, :candidates])
            clock.append(perf_counter())
            if number >= 0:
                for name, begun, ended in zip(taken, clock, clock[1:], strict=False):
                    taken[name].append(1000 * (ended - begun))
                taken["total"].append(1000 * (clock[-1] - clock[0]))
        return {name: round(statistics.median(times), 3) for name, times in taken.items()}

    def _read(self, model: Reader, paths: Sequence[Path]) -> tuple[TokenStates, dict[Path, str]]:
        return read_readable(model, paths, partial(self._tell, "reading pictures"), as_stored=True)

    def _side(self, model: Reader, pool: Pool, direction: Direction) -> "_Side":
        images = self._images[id(model)]
        own = torch.tensor([self._row[path] for path in pool.images])
        texts = read_texts(model, pool.texts, [pool.language] * len(pool.texts))
        if direction == "text_to_image":
            return _Side(texts, _Items(model, images[torch.cat([own, self._distractors])]), queries_are_text=True)
        return _Side(images[own], _Items(model, texts), queries_are_text=False)

    def _retrieved(self, sides: Mapping[int, "_Side"]) -> Ranking:
        """Retrieves the candidates; without a retriever, every item is one."""
        if self.system.retriever is None:
            (side,) = sides.values()
            return Ranking(torch.arange(len(side.items.states)).expand(len(side.queries), -1))
        side = sides[id(self.system.retriever)]
        depth = max(DEPTH, self.system.candidates)
        return retrieve(side.query_vectors, side.items.vectors, depth)[0]

    def _judged(
        self, sides: Mapping[int, "_Side"], found: Ranking
    ) -> tuple[Int[Tensor, "queries candidates"], Float[Tensor, "queries candidates"]]:
        """Returns the candidates and their logits."""
        candidates = self.system.candidates if self.system.retriever else found.order.shape[1]
        chosen = found.order[:, :candidates]
        return chosen, self._matched(sides[id(self.system.reranker)], chosen)

    def _matched(self, side: "_Side", chosen: Int[Tensor, "queries candidates"]) -> Float[Tensor, "queries candidates"]:
        step = max(1, 20 * PAIRS // chosen.shape[1])
        parts = []
        for rows in torch.arange(len(chosen)).split(step):
            pairs = side.queries[rows], side.items.states, chosen[rows]
            parts.append(match(as_matcher(side.items.model), *pairs, side.queries_are_text))
            self._tell("judging pairs", int(rows[-1]) + 1, len(chosen))
        return torch.cat(parts)

    def _tell(self, stage: str, done: int, total: int) -> None:
        if self.progress:
            self.progress(stage, done, total, {})


@dataclass(frozen=True, eq=False)
class _Items:
    """The items to rank, as read by one model."""

    model: Reader
    states: TokenStates

    @cached_property
    def vectors(self) -> Float[Tensor, "items dim"]:
        return embed_all(as_embedder(self.model), self.states)


@dataclass(frozen=True, eq=False)
class _Side:
    """Queries and items, as read by one model."""

    queries: TokenStates
    items: _Items
    queries_are_text: bool

    @property
    def query_vectors(self) -> Float[Tensor, "queries dim"]:
        return embed_all(as_embedder(self.items.model), self.queries)

    def cosines(self, chosen: Int[Tensor, "queries candidates"]) -> Float[Tensor, "queries candidates"]:
        return (self.query_vectors @ self.items.vectors.T).cpu().gather(1, chosen)
