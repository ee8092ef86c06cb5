"""The rows of a table in memory, for searches after the first."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from torch import Tensor

from polyglance.store.nearest import within_reach

_AT_ONCE: Final = 64
"""The number of queries in one product; each has a score for every row."""


@dataclass(frozen=True, eq=False)
class HeldRows:
    """The rows of a table of vectors.

    The product is computed by torch: NumPy's threads keep spinning after a product, and a rerank that follows takes
    twice as long.

    version: of the table. facts: of the rows. vectors: of the rows.
    """

    version: int
    facts: pa.Table
    vectors: Float[Tensor, "rows dim"]

    @classmethod
    def of(cls, version: int, facts: pa.Table, vectors: Float32[np.ndarray, "rows dim"]) -> "HeldRows":
        return cls(version, facts.combine_chunks(), torch.from_numpy(vectors.copy()))

    def nearest(
        self, vectors: Float32[np.ndarray, "queries dim"], limit: int
    ) -> list[tuple[pa.Table, NDArray[np.float32]]]:
        """Returns, for each query, the facts and the vectors (places, dim) of all rows that may be among the `limit`
        nearest."""
        near: list[NDArray[np.int64]] = []
        for some in torch.from_numpy(np.ascontiguousarray(vectors)).split(_AT_ONCE):
            near += [within_reach(scores, limit) for scores in (some @ self.vectors.T).numpy()]
        return [(self.facts.take(places), self.vectors.numpy()[places]) for places in near]
