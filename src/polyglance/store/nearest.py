"""Ranks the rows nearest to a vector in the same order for every store."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float32, Int64

from polyglance.store.protocols import AnyFacts, Hit

MARGIN: Final = 1e-5
"""An upper bound of the difference between two ways to compute a cosine in float32."""


def within_reach(scores: Float32[np.ndarray, " rows"], limit: int) -> Int64[np.ndarray, " places"]:
    """Returns the indices of all rows that may be among the `limit` nearest.

    scores: cosines, in float32. limit: at least 1.
    """
    if limit >= len(scores):
        return np.arange(len(scores))
    return np.flatnonzero(scores >= np.partition(scores, -limit)[-limit] - MARGIN)


def ranked(
    facts: Sequence[AnyFacts],
    vectors: Float32[np.ndarray, "rows dim"],
    vector: Float32[np.ndarray, " dim"],
    limit: int,
) -> list[Hit[AnyFacts]]:
    """Returns the `limit` nearest rows, best first; rows with equal scores are sorted by key.

    Cosines are summed in float64 and rounded to float32. The last digits of a float32 product depend on the other rows
    in it, so that equal vectors would be ordered differently on disk and in memory.

    facts, vectors: of the rows. vector: the query.
    """
    scores = (vectors.astype(np.float64) * vector).sum(axis=1).astype(np.float32).tolist()
    hits = [Hit(row, score) for row, score in zip(facts, scores, strict=True)]
    return sorted(hits, key=lambda hit: (-hit.score, hit.facts.key))[:limit]
