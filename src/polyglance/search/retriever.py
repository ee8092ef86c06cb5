"""The first stage of a search: finds the items whose vectors are nearest to the query's."""

from dataclasses import dataclass
from typing import Generic

import numpy as np
from jaxtyping import Float32

from polyglance.store.protocols import AnyFacts, Hit, VectorStore


@dataclass(frozen=True)
class Retriever(Generic[AnyFacts]):
    """Retrieves by the vectors of a twin encoder.

    items: the stored vectors.
    """

    items: VectorStore[AnyFacts]

    def retrieve(self, vectors: Float32[np.ndarray, "queries dim"], k: int) -> list[list[Hit[AnyFacts]]]:
        """Returns the k nearest contents for each vector, best first. A content in several rows counts once."""
        found: dict[int, list[Hit[AnyFacts]]] = {}
        total = len(self.items)
        limit = min(k, total)
        while limit and (asked := [row for row in range(len(vectors)) if row not in found]):
            for row, hits in zip(asked, self.items.search_all(vectors[asked], limit), strict=True):
                distinct: dict[str, Hit[AnyFacts]] = {}
                for hit in hits:
                    distinct.setdefault(hit.facts.content, hit)
                if len(distinct) >= k or limit == total:
                    found[row] = list(distinct.values())[:k]
            limit = min(4 * limit, total)
        return [found.get(row, []) for row in range(len(vectors))]
