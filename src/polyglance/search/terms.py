"""The parts of a query as the model has read them: one vector for the first stage, log-odds for the second."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from polyglance.models.capabilities import as_embedder, as_matcher
from polyglance.models.protocol import Reader
from polyglance.nn.states import TokenStates
from polyglance.query import Query
from polyglance.types import Modality


@dataclass(frozen=True, eq=False)
class ReadTerm:
    """A part of a query, read, and how much it weighs.

    vector: of unit length. states: of one row; None for a part that was given as a vector. text: None for others.
    """

    vector: Float[Tensor, " dim"]
    weight: float
    states: TokenStates | None = None
    text: str | None = None

    def matched_states(self, modality: Modality) -> TokenStates | None:
        """What the cross-encoder holds against items of this modality: of a picture for texts, of a text for pictures;
        None where it has nothing to hold."""
        return self.states if self.states is not None and self.states.modality != modality else None


def matched(query: Query, modality: Modality) -> int:
    """How many parts of a query the cross-encoder can hold against items of this modality: a text and a picture."""
    return sum((term.text if modality == "image" else term.picture) is not None for term in query.terms)


def query_vector(terms: Sequence[ReadTerm]) -> NDArray[np.float32]:
    """(dim,): the weighted sum of the terms' vectors, of unit length."""
    heaviest = max(abs(term.weight) for term in terms)  # the length of the sum says nothing, and may be too small
    total = torch.stack([term.weight / heaviest * term.vector.float().cpu() for term in terms]).sum(dim=0)
    vector: NDArray[np.float32] = F.normalize(total, dim=0).numpy()
    return vector


def like(items: Float[Tensor, "items dim"], term: Float[Tensor, " dim"]) -> Float[Tensor, " items"]:
    """The log-odds that stand for how alike the vectors of two of a kind are: their cosine c stands for the probability
    (1 + c) / 2, so that a query of one picture keeps the order of the pictures' vectors."""
    cosines = (items.float() @ term.float()).clamp(-1 + 1e-6, 1 - 1e-6)
    return torch.log((1 + cosines) / (1 - cosines))


def probabilities(odds: Float[Tensor, " items"]) -> list[float]:
    """Of log-odds, in float64: in float32, all that are above 17 would be 1."""
    return torch.sigmoid(odds.double()).tolist()


def log_odds(model: Reader, terms: Sequence[ReadTerm], items: TokenStates, depth: int = 0) -> Float[Tensor, " items"]:
    """How well each item fits: the weighted sum over the terms. depth: as of `Matcher.match`.

    Of a text and a picture it is the cross-encoder's logit, calibrated; for two of a kind, where there is none, see
    `like`.
    """
    total = torch.zeros(len(items), device=items.hidden.device)
    vectors = None
    for term in terms:
        if (states := term.matched_states(items.modality)) is not None:
            matcher = as_matcher(model)
            slope, offset = matcher.calibration
            asked = states[[0] * len(items)]
            pairs = (items, asked) if items.modality == "text" else (asked, items)
            total += term.weight * (slope * matcher.match(*pairs, depth=depth).float() + offset)
        else:
            vectors = as_embedder(model).embed(items) if vectors is None else vectors
            total += term.weight * like(vectors, term.vector.to(vectors.device))
    return total
