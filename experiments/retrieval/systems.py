"""Measures the recall of the twin encoder, the cross-encoder and both together, in pools of growing size."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

import torch
from jaxtyping import Float, Int
from torch import Tensor

from experiments.results import Row
from experiments.retrieval.training import bundled
from experiments.retrieval.world import World
from polyglance.evaluation.pools import Direction
from polyglance.evaluation.retrieval import Ranking, blended, match, reordered, retrieve
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.reading import embed_all, read_texts
from polyglance.nn.states import TokenStates
from polyglance.types import StageProgress

DIRECTIONS: tuple[Direction, ...] = ("text_to_image", "image_to_text")
CHUNK = 1000
TIMED = 30


@dataclass(frozen=True, eq=False)
class Reading:
    """A model's states of the test pictures and texts, the pictures in 8 bits as in a library. asked: the right picture
    of each query."""

    model: SingleStreamModel
    images: TokenStates
    texts: TokenStates
    asked: Int[Tensor, " queries"]

    @classmethod
    def of(cls, model: SingleStreamModel, world: World, report: StageProgress) -> "Reading":
        seen = world.seen("test", bundled(), report)
        tokens = seen.tokens.view(len(seen), -1, seen.width)
        images = stored(model, tokens)
        return cls(model, images, read_texts(model, world.texts), torch.tensor(world.asked))

    def queries(self, direction: Direction, rows: Int[Tensor, " queries"]) -> TokenStates:
        return self.texts[rows] if direction == "text_to_image" else self.images[self.asked[rows]]

    def items(self, direction: Direction) -> TokenStates:
        return self.images if direction == "text_to_image" else self.texts

    def right(self, direction: Direction) -> Int[Tensor, " queries"]:
        """Returns the right item of each query."""
        return self.asked if direction == "text_to_image" else torch.arange(len(self.asked))

    @cached_property
    def image_vectors(self) -> Float[Tensor, "images dim"]:
        return embed_all(self.model, self.images)

    @cached_property
    def text_vectors(self) -> Float[Tensor, "texts dim"]:
        return embed_all(self.model, self.texts)

    def vectors(self, direction: Direction) -> tuple[Float[Tensor, "queries dim"], Float[Tensor, "items dim"]]:
        if direction == "text_to_image":
            return self.text_vectors[: len(self.asked)], self.image_vectors
        return self.image_vectors[self.asked], self.text_vectors

    def match(
        self, direction: Direction, queries: TokenStates, chosen: Int[Tensor, "queries candidates"]
    ) -> Float[Tensor, "queries candidates"]:
        return match(self.model, queries, self.items(direction), chosen, direction == "text_to_image")


def stored(model: SingleStreamModel, tokens: Float[Tensor, "pictures tokens width"]) -> TokenStates:
    """Returns the states of pictures as a library returns them."""
    rows = [row for part in tokens.split(CHUNK) for row in model.compress(part).store()]
    return TokenStates.load(rows, "image", model.device, next(model.parameters()).dtype)


def twin_rows(name: str, reading: Reading, world: World, seed: int) -> Iterator[Row]:
    for size in world.settings.pools:
        found = {one: _retrieved(reading, one, size, 10)[0] for one in DIRECTIONS}
        yield {**_head(name, seed, size), **_figures(found, reading, world)}


def cooperative_rows(name: str, twin: Reading, cross: Reading, world: World, seed: int) -> Iterator[Row]:
    """Yields the recall for each number of candidates, and for each share of the cosine with 20 candidates at most."""
    settings = world.settings
    most = max(settings.candidates)
    mixed = min(20, most)
    for size in settings.pools:
        found, logits, cosines = {}, {}, {}
        for one in DIRECTIONS:
            found[one], cosines[one] = _retrieved(twin, one, size, max(most, 10))
            chosen = found[one].order[:, :most]
            queries = cross.queries(one, torch.arange(len(chosen)))
            logits[one] = cross.match(one, queries, chosen)
        choices = [(k, 0.0) for k in settings.candidates] + [(mixed, blend) for blend in settings.blends if blend]
        for k, blend in choices:
            ranked = {
                one: reordered(found[one], blended(logits[one][:, :k], cosines[one][:, :k], blend))
                for one in DIRECTIONS
            }
            yield {**_head(name, seed, size), "candidates": k, "blend": blend, **_figures(ranked, twin, world)}


def cross_rows(name: str, reading: Reading, world: World, seed: int) -> Iterator[Row]:
    """Yields the recall over all pairs: in both directions if all queries are asked, otherwise text to image for the
    first ones."""
    for size, sampled in zip(world.settings.pools, world.settings.sampled, strict=True):
        asked = min(sampled, len(reading.asked))
        found = {one: _best(scores) for one, scores in all_pairs(reading, size, asked).items()}
        yield {**_head(name, seed, size), "queries": asked, **_figures(found, reading, world)}


def all_pairs(reading: Reading, size: int, asked: int) -> dict[Direction, Float[Tensor, "queries items"]]:
    """Returns the logits of the first `asked` queries with all items of a pool, the same items as in `twin_rows`; of
    pictures with texts only if all queries are asked.

    size: the number of pictures in the pool, and of texts if there are as many.
    """
    queries = torch.arange(asked)
    texts = reading.queries("text_to_image", queries)
    scores: dict[Direction, Tensor] = {
        "text_to_image": reading.match("text_to_image", texts, torch.arange(size).expand(asked, -1))
    }
    if asked == len(reading.asked):
        images = reading.queries("image_to_text", queries)
        others = torch.arange(asked, min(size, len(reading.texts)))
        of_others = [reading.match("image_to_text", images, others.expand(asked, -1))] if len(others) else []
        scores["image_to_text"] = torch.cat([scores["text_to_image"][:, reading.asked].T, *of_others], dim=1)
    return scores


def _head(name: str, seed: int, pool: int) -> Row:
    return {"part": "systems", "system": name, "seed": seed, "pool": pool}


def _retrieved(reading: Reading, direction: Direction, size: int, depth: int) -> tuple[Ranking, Tensor]:
    asking, items = reading.vectors(direction)
    return retrieve(asking, items[:size], depth)


def _best(scores: Float[Tensor, "queries items"]) -> Ranking:
    return Ranking(scores.topk(min(10, scores.shape[1]), dim=1)[1])


def _figures(found: Mapping[Direction, Ranking], reading: Reading, world: World) -> Row:
    """Returns the recalls of each direction that was asked, and of text to image separately for queries with and
    without an unseen pair."""
    row: Row = {}
    for direction in DIRECTIONS:
        if direction in found:
            right = reading.right(direction)[: len(found[direction].order)]
            row[direction] = {f"R@{at}": round(found[direction].recall(right, at), 2) for at in (1, 5, 10)}
    to_image = found["text_to_image"]
    unseen = torch.tensor(world.unseen)[: len(to_image.order)]
    if unseen.any() and not unseen.all():
        for name, rows in (("seen_pairs", ~unseen), ("unseen_pairs", unseen)):
            ranking, right = Ranking(to_image.order[rows]), reading.asked[: len(unseen)][rows]
            row[name] = {"queries": int(rows.sum()), "R@1": round(ranking.recall(right, 1), 2)}
    return row


def time_rows(reading: Reading, world: World) -> Iterator[Row]:
    """Yields the median milliseconds of single queries in each pool and direction: reading, retrieving and reranking
    the candidates, and matching a few queries with the whole pool."""
    for direction in DIRECTIONS:
        yield from _direction_times(reading, world, direction)


def _direction_times(reading: Reading, world: World, direction: Direction) -> Iterator[Row]:
    count = min(TIMED, len(world.asked))
    queries = [_read(reading, world, direction, number) for number in range(count)]
    vectors = [reading.model.embed(query) for query in queries]
    _, items = reading.vectors(direction)

    def retrieving(pool: Tensor, depth: int) -> Spread:
        return _median(lambda n: retrieve(vectors[n], pool, depth), count)

    def matching(chosen: Sequence[Tensor]) -> Spread:
        return _median(lambda n: reading.match(direction, queries[n], chosen[n]), len(chosen))

    read = _median(lambda n: reading.model.embed(_read(reading, world, direction, n)), count)
    for size in world.settings.pools:
        pool = items[:size].clone()
        for k in world.settings.candidates:
            chosen = [retrieve(vector, pool, k)[0].order for vector in vectors]
            yield _time("coop", direction, size, k, read, retrieving(pool, k), matching(chosen))
        everything = torch.arange(len(pool))[None]
        yield _time("cross", direction, size, len(pool), read, NO_TIME, matching([everything] * 3))


def _read(reading: Reading, world: World, direction: Direction, number: int) -> TokenStates:
    """Returns the states of a query: a text is read each time, a picture of the library has stored states."""
    if direction == "text_to_image":
        return read_texts(reading.model, world.texts[number : number + 1])
    return reading.images[reading.asked[number : number + 1]]


Spread = tuple[float, float, float]
"""The median, fastest and slowest time in milliseconds."""
NO_TIME: Spread = (0.0, 0.0, 0.0)


def _time(system: str, direction: str, pool: int, k: int, read: Spread, found: Spread, reranked: Spread) -> Row:
    stages = {"read": read, "retrieve": found, "rerank": reranked}
    return {
        "part": "times",
        "system": system,
        "direction": direction,
        "pool": pool,
        "candidates": k,
        "milliseconds": {name: round(spread[0], 3) for name, spread in stages.items()},
        "spread": {name: [round(spread[1], 3), round(spread[2], 3)] for name, spread in stages.items()},
        "total_ms": round(sum(spread[0] for spread in stages.values()), 3),
    }


def _median(work: Callable[[int], object], times: int) -> Spread:
    """Times queries 0, 1, ... after a first run that does not count."""
    taken = []
    for number in [0, *range(times)]:
        started = time.perf_counter()
        work(number)
        taken.append(1000 * (time.perf_counter() - started))
    counted: Sequence[float] = taken[1:]
    return median(counted), min(counted), max(counted)
