"""First stage: the pictures whose vectors are nearest to the text's."""

from dataclasses import dataclass

from polyglance.models.protocol import JointModel
from polyglance.nn.states import TokenStates
from polyglance.store.protocols import Hit, VectorStore


@dataclass(frozen=True)
class Retriever:
    """The model as twin encoder, over a store of its vectors."""

    model: JointModel
    pictures: VectorStore

    def retrieve(self, text: TokenStates, k: int) -> list[Hit]:
        """The k contents nearest to one text, best first. Of files with the same content the first path stands."""
        vector = self.model.embed(text)[0].float().cpu().numpy()
        limit = k
        while True:
            hits = self.pictures.search(vector, limit)
            distinct: dict[str, Hit] = {}
            for hit in hits:
                distinct.setdefault(hit.content, hit)
            if len(distinct) >= k or len(hits) < limit:
                return list(distinct.values())[:k]
            limit *= 4
