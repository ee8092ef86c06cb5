"""Second stage: the joint layers look at the query and each candidate together, and reorder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from polyglance.models.protocol import JointModel
from polyglance.nn.states import TokenStates
from polyglance.search.terms import ReadTerm, log_odds
from polyglance.store.protocols import AnyFacts, Hit, StateStore
from polyglance.types import Modality

PAIRS_AT_ONCE: Final = 64


@dataclass(frozen=True)
class Reranker:
    """The model as cross-encoder, over a store of token states: no picture is opened. modality: of the candidates.
    depth: as of `JointModel.match`."""

    model: JointModel
    states: StateStore
    modality: Modality
    depth: int = 0

    def rerank(self, terms: Sequence[ReadTerm], hits: Sequence[Hit[AnyFacts]]) -> list[tuple[Hit[AnyFacts], float]]:
        """Each hit with the probability that it and the query fit, best first; equals keep their order."""
        scores: list[float] = []
        for start in range(0, len(hits), PAIRS_AT_ONCE):
            some = hits[start : start + PAIRS_AT_ONCE]
            read = terms[0].states.hidden
            items = TokenStates.load(
                self.states.get([hit.facts.content for hit in some]), self.modality, read.dtype, str(read.device)
            )
            scores += torch.sigmoid(log_odds(self.model, terms, items, self.depth)).tolist()
        return sorted(zip(hits, scores, strict=True), key=lambda pair: -pair[1])
