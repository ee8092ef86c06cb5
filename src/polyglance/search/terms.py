"""The parts of a query as the model has read them: one vector for the first stage, log-odds for the second."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from polyglance.models.protocol import JointModel
from polyglance.nn.states import TokenStates


@dataclass(frozen=True, eq=False)
class ReadTerm:
    """A text or a picture, read, and how much it weighs."""

    states: TokenStates
    weight: float

    @property
    def is_text(self) -> bool:
        return self.states.modality == "text"


def query_vector(model: JointModel, terms: Sequence[ReadTerm]) -> NDArray[np.float32]:
    """(dim,): the weighted sum of the terms' vectors, of unit length."""
    total = torch.stack([term.weight * model.embed(term.states)[0].float() for term in terms]).sum(dim=0)
    vector: NDArray[np.float32] = F.normalize(total, dim=0).cpu().numpy()
    return vector


def log_odds(model: JointModel, terms: Sequence[ReadTerm], images: TokenStates) -> Float[Tensor, " images"]:
    """How well each image fits: the weighted sum over the terms.

    Of a text it is the cross-encoder's logit. For a picture there is no cross-encoder: its cosine c stands for the
    probability (1 + c) / 2, so that a query of one picture keeps the order of its vectors.
    """
    total = torch.zeros(len(images), device=images.hidden.device)
    vectors = None
    for term in terms:
        if term.is_text:
            total += term.weight * model.match(term.states[[0] * len(images)], images).float()
        else:
            vectors = model.embed(images).float() if vectors is None else vectors
            cosines = (vectors @ model.embed(term.states)[0].float()).clamp(-1 + 1e-6, 1 - 1e-6)
            total += term.weight * torch.log((1 + cosines) / (1 - cosines))
    return total
