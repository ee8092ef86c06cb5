"""Measures retrieval over a pool with several captions a photograph, and agreement with people's judgements."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean, median
from typing import get_args

import torch
from jaxtyping import Float, Int
from scipy.stats import kendalltau
from torch import Tensor

from experiments.flickr8k.photographs import Judgement
from experiments.flickr8k.settings import Settings
from experiments.results import Row
from experiments.retrieval.states import BITS, bytes_a_picture, rounded
from polyglance.evaluation.pools import Direction, Pool
from polyglance.evaluation.retrieval import Ranking, blended, match, reordered, retrieve
from polyglance.evaluation.runs import Scores, score
from polyglance.models.families.cut_model import CutModel
from polyglance.models.reading import embed_all, read_texts
from polyglance.nn.states import TokenStates

DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
DEPTH, CANDIDATES, TIMED = 10, 20, 30


@dataclass(frozen=True, eq=False)
class Reading:
    """What a model reads of a pool."""

    model: CutModel
    pool: Pool
    images: TokenStates
    texts: TokenStates

    @cached_property
    def image_vectors(self) -> Float[Tensor, "images dim"]:
        return embed_all(self.model, self.images)

    @cached_property
    def text_vectors(self) -> Float[Tensor, "texts dim"]:
        return embed_all(self.model, self.texts)

    def retrieved(self, direction: Direction, depth: int) -> tuple[Ranking, Float[Tensor, "queries depth"]]:
        """Returns the nearest items of every query, and their cosines."""
        both = self.text_vectors, self.image_vectors
        asking, items = both if direction == "text_to_image" else both[::-1]
        return retrieve(asking, items, depth)

    def logits(
        self,
        direction: Direction,
        queries: Int[Tensor, " queries"],
        chosen: Int[Tensor, "queries candidates"],
        depth: int = 0,
    ) -> Float[Tensor, "queries candidates"]:
        """Matches some queries with some items of each. depth: the drop depth of the match's adapter."""
        both = self.texts, self.images
        asking, items = both if direction == "text_to_image" else both[::-1]
        return match(self.model, asking[queries], items, chosen, direction == "text_to_image", depth)


def twin_row(reading: Reading) -> Row:
    """Measures the twin encoder alone."""
    return {
        direction: figures(reading.pool, direction, reading.retrieved(direction, DEPTH)[0]) for direction in DIRECTIONS
    }


def coop_rows(twin: Reading, cross: Reading, settings: Settings) -> Iterator[Row]:
    """Yields the recall for each number of candidates; and, with 20 candidates at most, for each share of the cosine
    beside the probability of the match, in which the twin encoder has no say then."""
    most = max(settings.candidates)
    said = {"cosine_weight": round(cross.model.cosine_weight, 2)}
    found, logits, cosines = {}, {}, {}
    for one in DIRECTIONS:
        found[one], cosines[one] = twin.retrieved(one, max(most, DEPTH))
        chosen = found[one].order[:, :most]
        logits[one] = cross.logits(one, torch.arange(len(chosen)), chosen)
    for k in settings.candidates:
        ranked = {one: reordered(found[one], logits[one][:, :k]) for one in DIRECTIONS}
        yield {"candidates": k, **said, **_figures(twin.pool, ranked)}
    k = min(CANDIDATES, most)
    for blend in settings.blends:
        ranked = {}
        for one in DIRECTIONS:
            near = cosines[one][:, :k]
            alone = logits[one][:, :k] - cross.model.cosine_weight * near
            ranked[one] = reordered(found[one], blended(alone, near, blend))
        yield {"candidates": k, "blend": blend, **said, **_figures(twin.pool, ranked)}


def depth_rows(reading: Reading, settings: Settings) -> Iterator[Row]:
    """Yields the recall of some queries with 20 candidates for each drop depth of the match's adapter."""
    for depth in range(reading.model.config.joint_depth + 1):
        yield {"depth": depth, **_sampled_row(reading, reading, settings, depth)}


def pair_rows(reading: Reading, settings: Settings) -> Iterator[Row]:
    """Yields a row of some queries with everything, and one of the same queries with the 20 candidates that the vectors
    find. A cross-encoder alone has the vectors of the twin encoder that it began as."""
    every, few = {}, {}
    for one, count in zip(DIRECTIONS, settings.all_pairs, strict=True):
        queries = sampled(reading.pool, one, count)
        items = torch.arange(reading.pool.items(one)).expand(len(queries), -1)
        logits = reading.logits(one, torch.tensor(queries), items)
        every[one] = _of_queries(reading, one, Ranking(logits.topk(min(DEPTH, logits.shape[1]), dim=1)[1]), queries)
        found = reading.retrieved(one, CANDIDATES)[0].order[queries]
        few[one] = _of_queries(reading, one, reordered(Ranking(found), logits.gather(1, found)), queries)
    yield {"candidates": None, **every}
    yield {"candidates": CANDIDATES, **few}


def _of_queries(reading: Reading, direction: Direction, ranking: Ranking, queries: Sequence[int]) -> Row:
    return {"queries": len(queries), **figures(reading.pool, direction, ranking, queries)}


def state_rows(reading: Reading, settings: Settings) -> Iterator[Row]:
    """Yields the recall of some queries with 20 candidates and states of 16, 8 and 4 bits. reading: with states as they
    are made."""
    hidden = reading.images.hidden
    for bits in BITS:
        images = replace(reading.images, hidden=rounded(hidden, bits))
        row = _sampled_row(reading, replace(reading, images=images), settings)
        yield {**row, "bits": bits, "bytes": bytes_a_picture(*hidden.shape[1:], bits)}


def _sampled_row(twin: Reading, cross: Reading, settings: Settings, depth: int = 0) -> Row:
    row: Row = {"candidates": CANDIDATES}
    for one, count in zip(DIRECTIONS, settings.sampled, strict=True):
        queries = sampled(twin.pool, one, count)
        found = twin.retrieved(one, CANDIDATES)[0].order[queries]
        logits = cross.logits(one, torch.tensor(queries), found, depth)
        row[one] = _of_queries(twin, one, reordered(Ranking(found), logits), queries)
    return row


def judgement_row(reading: Reading, judgements: Sequence[Judgement]) -> Row:
    """Returns Kendall's tau-c of the cosine, and of the match if there is one, with people's scores.

    Their mean, and each of them as CLIPScore (arXiv:2104.08718) counts them. reading: of a pool whose texts are those
    of the judgements, in their order.
    """
    place = {image: number for number, image in enumerate(reading.pool.images)}
    pictures = torch.tensor([place[one.image] for one in judgements])
    said = {"cosine": (reading.text_vectors * reading.image_vectors[pictures]).sum(dim=1)}
    if "match" in reading.model.tasks:
        queries = torch.arange(len(judgements))
        said["match"] = reading.logits("text_to_image", queries, pictures[:, None])[:, 0]
    row: Row = {"judged": len(judgements)}
    for name, scores in said.items():
        one_by_one = [score for one in judgements for score in one.scores]
        repeated = scores.repeat_interleave(torch.tensor([len(one.scores) for one in judgements]))
        of_mean = tau(scores.tolist(), [fmean(one.scores) for one in judgements])
        row[name] = {"mean": of_mean, "each": tau(repeated.tolist(), one_by_one)}
    return row


def time_row(reading: Reading) -> Row:
    """Returns the milliseconds of single captions: the median, the fastest and the slowest of 30 after a first one."""
    model, pool = reading.model, reading.pool
    taken: dict[str, list[float]] = {"read": [], "retrieve": [], "rerank": []}
    for text in pool.texts[: TIMED + 1]:
        clock = [time.perf_counter()]
        states = read_texts(model, [text], [pool.language])
        vector = model.embed(states)
        clock.append(time.perf_counter())
        chosen = retrieve(vector, reading.image_vectors, CANDIDATES)[0].order
        clock.append(time.perf_counter())
        match(model, states, reading.images, chosen, queries_are_text=True)
        clock.append(time.perf_counter())
        for name, began, ended in zip(taken, clock, clock[1:], strict=False):
            taken[name].append(1000 * (ended - began))
    spread = {name: sorted(times[1:]) for name, times in taken.items()}
    return {
        "pool": len(pool.images),
        "candidates": CANDIDATES,
        "milliseconds": {name: round(median(times), 2) for name, times in spread.items()},
        "spread": {name: [round(times[0], 2), round(times[-1], 2)] for name, times in spread.items()},
    }


def _figures(pool: Pool, ranked: Mapping[Direction, Ranking]) -> Row:
    return {one: figures(pool, one, ranking) for one, ranking in ranked.items()}


def figures(pool: Pool, direction: Direction, ranking: Ranking, queries: Sequence[int] | None = None) -> Row:
    """Returns the recalls in percent of a pool's queries, or of some of them, as Karpathy and Fei-Fei
    (arXiv:1412.2306) count them: a picture is a hit if any of its captions is found."""
    found = scored(pool, direction, ranking, queries)
    return {name: round(found.percent[name], 2) for name in ("R@1", "R@5", "R@10")}


def scored(pool: Pool, direction: Direction, ranking: Ranking, queries: Sequence[int] | None = None) -> Scores:
    """Scores ranked items. queries: the queries that are ranked; None means all.

    A photograph without a caption in the pool's language is searched for, but it is no query.
    """
    asked = range(pool.queries(direction)) if queries is None else queries
    run: list[list[int]] = [[] for _ in range(pool.queries(direction))]
    for query, order in zip(asked, ranking.order.tolist(), strict=True):
        run[query] = order
    judged = score(run, pool, direction).judged
    return Scores(pool.language, direction, tuple(judged[query] for query in asked if judged[query].right), ())


def sampled(pool: Pool, direction: Direction, count: int) -> list[int]:
    """Returns `count` queries at equal distances."""
    total = pool.queries(direction)
    return [total * number // min(count, total) for number in range(min(count, total))]


def tau(scores: Sequence[float], judged: Sequence[float]) -> float:
    """Returns Kendall's tau-c of a model's scores with people's, times 100, as CLIPScore (arXiv:2104.08718) reports."""
    found: float = kendalltau(scores, judged, variant="c").statistic
    return round(100 * found, 2)
