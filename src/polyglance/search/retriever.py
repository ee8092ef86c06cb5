"""First stage: what has the vectors that are nearest to the query's."""

from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from polyglance.store.protocols import AnyFacts, Hit, VectorStore


@dataclass(frozen=True)
class Retriever(Generic[AnyFacts]):
    """The twin encoder's half of a search, over a store of its vectors."""

    items: VectorStore[AnyFacts]

    def retrieve(self, vector: NDArray[np.float32], k: int) -> list[Hit[AnyFacts]]:
        """The k contents nearest to a vector, best first. Of rows with the same content the first key stands."""
        total = len(self.items)
        limit = min(k, total)
        while limit:
            hits = self.items.search(vector, limit)
            distinct: dict[str, Hit[AnyFacts]] = {}
            for hit in hits:
                distinct.setdefault(hit.facts.content, hit)
            if len(distinct) >= k or limit == total:
                return list(distinct.values())[:k]
            limit = min(4 * limit, total)
        return []
