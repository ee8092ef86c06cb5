"""Second stage: the joint layers look at text and picture together, and reorder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from polyglance.models.protocol import JointModel
from polyglance.nn.states import TokenStates
from polyglance.store.protocols import Hit, StateStore

PAIRS_AT_ONCE: Final = 64


@dataclass(frozen=True)
class Reranker:
    """The model as cross-encoder, over a store of pictures' token states: no picture is opened."""

    model: JointModel
    states: StateStore

    def rerank(self, text: TokenStates, hits: Sequence[Hit]) -> list[tuple[Hit, float]]:
        """Each hit with the probability that the text is true of it, best first; equals keep their order."""
        scores: list[float] = []
        for start in range(0, len(hits), PAIRS_AT_ONCE):
            scores += torch.sigmoid(self._logits(text, hits[start : start + PAIRS_AT_ONCE])).tolist()
        return sorted(zip(hits, scores, strict=True), key=lambda pair: -pair[1])

    def _logits(self, text: TokenStates, hits: Sequence[Hit]) -> Float[Tensor, " pairs"]:
        stored = self.states.get([hit.content for hit in hits])
        images = TokenStates.load(stored, "image", text.hidden.dtype, str(text.hidden.device))
        return self.model.match(text[[0] * len(hits)], images).float()
