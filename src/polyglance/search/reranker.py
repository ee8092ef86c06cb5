"""Second stage: the joint layers look at the query's texts and each picture together, and reorder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from polyglance.models.protocol import JointModel
from polyglance.nn.states import TokenStates
from polyglance.search.terms import ReadTerm, log_odds
from polyglance.store.protocols import Hit, StateStore

PAIRS_AT_ONCE: Final = 64


@dataclass(frozen=True)
class Reranker:
    """The model as cross-encoder, over a store of pictures' token states: no picture is opened."""

    model: JointModel
    states: StateStore

    def rerank(self, terms: Sequence[ReadTerm], hits: Sequence[Hit]) -> list[tuple[Hit, float]]:
        """Each hit with the probability that the query is true of it, best first; equals keep their order."""
        scores: list[float] = []
        for start in range(0, len(hits), PAIRS_AT_ONCE):
            some = hits[start : start + PAIRS_AT_ONCE]
            read = terms[0].states.hidden
            images = TokenStates.load(
                self.states.get([hit.content for hit in some]), "image", read.dtype, str(read.device)
            )
            scores += torch.sigmoid(log_odds(self.model, terms, images)).tolist()
        return sorted(zip(hits, scores, strict=True), key=lambda pair: -pair[1])
