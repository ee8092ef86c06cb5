"""The rows of a table held in memory, for searches after the first."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from polyglance.store.nearest import within_reach


@dataclass(frozen=True, eq=False)
class HeldRows:
    """What a table of vectors holds. version: of the table, or an earlier one.

    The product is torch's: NumPy's threads go on spinning when theirs is done, and a rerank behind it takes twice as
    long.
    """

    version: int
    facts: pa.Table
    vectors: Float[Tensor, "rows dim"]

    @classmethod
    def of(cls, version: int, facts: pa.Table, vectors: Float32[np.ndarray, "rows dim"]) -> "HeldRows":
        return cls(version, facts.combine_chunks(), torch.from_numpy(vectors.copy()))

    def nearest(
        self, vector: Float32[np.ndarray, " dim"], limit: int
    ) -> tuple[pa.Table, Float32[np.ndarray, "places dim"]]:
        """Facts and vectors of all rows that may be among the `limit` nearest."""
        places = within_reach((self.vectors @ torch.from_numpy(vector)).numpy(), limit)
        return self.facts.take(places), self.vectors.numpy()[places]
