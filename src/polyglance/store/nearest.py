"""Which rows are nearest to a vector: in the same order however a store finds them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float32, Int64

from polyglance.store.protocols import AnyFacts, Hit

MARGIN: Final = 1e-5
"""More than a cosine in float32 differs by when it is computed another way."""


def within_reach(scores: Float32[np.ndarray, " rows"], limit: int) -> Int64[np.ndarray, " places"]:
    """Places of all rows that may be among the `limit` nearest; scores: cosines in float32. limit: at least 1."""
    if limit >= len(scores):
        return np.arange(len(scores))
    return np.flatnonzero(scores >= np.partition(scores, -limit)[-limit] - MARGIN)


def ranked(
    facts: Sequence[AnyFacts],
    vectors: Float32[np.ndarray, "rows dim"],
    vector: Float32[np.ndarray, " dim"],
    limit: int,
) -> list[Hit[AnyFacts]]:
    """The `limit` nearest of these rows, best first; equal scores by key.

    Cosines are summed in float64 and rounded to float32. A product in float32 differs in its last digits with the rows
    that it is computed with, so that equal vectors would come in one order from the disk and in another from memory.
    """
    scores = (vectors.astype(np.float64) * vector).sum(axis=1).astype(np.float32).tolist()
    hits = [Hit(row, score) for row, score in zip(facts, scores, strict=True)]
    return sorted(hits, key=lambda hit: (-hit.score, hit.facts.key))[:limit]
