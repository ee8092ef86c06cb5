"""First stage: the pictures whose vectors are nearest to the query's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance.store.protocols import Hit, VectorStore


@dataclass(frozen=True)
class Retriever:
    """The twin encoder's half of a search, over a store of its vectors."""

    pictures: VectorStore

    def retrieve(self, vector: NDArray[np.float32], k: int) -> list[Hit]:
        """The k contents nearest to a vector, best first. Of files with the same content the first path stands."""
        limit = k
        while True:
            hits = self.pictures.search(vector, limit)
            distinct: dict[str, Hit] = {}
            for hit in hits:
                distinct.setdefault(hit.content, hit)
            if len(distinct) >= k or len(hits) < limit:
                return list(distinct.values())[:k]
            limit *= 4
