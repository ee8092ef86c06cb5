"""Measures of ranked lists with any number of right items, and their confidence intervals.

A query without a result counts as a miss, so that every query counts.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 2000
_BATCH: Final = 100


@dataclass(frozen=True)
class Judged:
    """A judged list. ranks: the ranks of the right items in it, from 1, ascending. right: the number of right items."""

    ranks: tuple[int, ...]
    right: int


def judge(ranked: Sequence[Hashable], right: frozenset[Hashable]) -> Judged:
    """Judges a ranked list. ranked: the items, best first; only the first occurrence of an item counts."""
    seen = dict.fromkeys(ranked)
    return Judged(tuple(rank for rank, item in enumerate(seen, 1) if item in right), len(right))


def hit(judged: Judged, at: int) -> float:
    """Returns 1 if a right item is among the first `at`, else 0; image-text retrieval calls this recall."""
    return float(bool(judged.ranks) and judged.ranks[0] <= at)


def reciprocal_rank(judged: Judged) -> float:
    return 1 / judged.ranks[0] if judged.ranks else 0.0


def ndcg(judged: Judged, at: int) -> float:
    """Normalized discounted cumulative gain with binary relevance (Järvelin and Kekäläinen 2002)."""
    gain = sum(1 / math.log2(rank + 1) for rank in judged.ranks if rank <= at)
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(judged.right, at) + 1))


MEASURES: Final[Mapping[str, Callable[[Judged], float]]] = {
    "R@1": lambda judged: hit(judged, 1),
    "R@5": lambda judged: hit(judged, 5),
    "R@10": lambda judged: hit(judged, 10),
    "MRR": reciprocal_rank,
    "nDCG@10": lambda judged: ndcg(judged, 10),
}
"""Measures of one query, from 0 to 1; their means are given in percent."""


def percent(judged: Sequence[Judged]) -> dict[str, float]:
    """Returns the mean of every measure over the queries, in percent."""
    return {name: 100 * float(np.mean([measure(one) for one in judged])) for name, measure in MEASURES.items()}


@dataclass(frozen=True)
class Interval:
    """A mean in percent with its 95 % confidence interval over samples of queries or clusters."""

    mean: float
    low: float
    high: float


def interval(values: Sequence[float], clusters: Sequence[Hashable] | None = None, seed: int = 0) -> Interval:
    """Computes an interval by the percentile bootstrap over queries (Efron 1979).

    values: a measure of each query, from 0 to 1. clusters: the cluster of each query, such as its picture; whole
    clusters are drawn then (Davison and Hinkley 1997, section 3.8). seed: of the draws.
    """
    own = np.asarray(values, dtype=np.float64)
    low, high = np.percentile(_resampled_means(own, clusters, seed), [2.5, 97.5])
    return Interval(100 * float(own.mean()), 100 * float(low), 100 * float(high))


@dataclass(frozen=True)
class Difference:
    """B minus A in percentage points. likely_noise: whether the interval contains 0."""

    interval: Interval

    @property
    def likely_noise(self) -> bool:
        return self.interval.low <= 0 <= self.interval.high


def difference(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable] | None = None, seed: int = 0
) -> Difference:
    """Computes a paired difference from the values of one measure for the same queries in the same order."""
    return Difference(interval([y - x for x, y in zip(a, b, strict=True)], clusters, seed))


def _resampled_means(
    values: NDArray[np.float64], clusters: Sequence[Hashable] | None, seed: int
) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    sums, sizes = values, np.ones_like(values)
    if clusters is not None:
        number = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
        places = np.array([number[cluster] for cluster in clusters])
        sums, sizes = (np.bincount(places, each).astype(np.float64) for each in (values, sizes))
    parts = []
    for _ in range(RESAMPLES // _BATCH):
        drawn = rng.integers(0, len(sums), (_BATCH, len(sums)))
        parts.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(parts)
