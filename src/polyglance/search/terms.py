"""The parts of a query after reading: they give a vector for the first stage and log-odds for the second."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

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
    """A part of a query after reading.

    vector: (dim,), of unit length. weight: the weight of the part in the query. states: the token states, one row; None
    for a part that was given as a vector. text: the text; None for a picture or a vector.
    """

    vector: Float[Tensor, " dim"]
    weight: float
    states: TokenStates | None = None
    text: str | None = None

    def matched_states(self, modality: Modality) -> TokenStates | None:
        """Returns the states that the cross-encoder matches with items of this modality.

        These are the states of a picture for texts, and the states of a text for pictures. Any other part gives None.
        """
        return self.states if self.states is not None and self.states.modality != modality else None


def matched(query: Query, modality: Modality) -> int:
    """Returns how many parts of a query the cross-encoder can match with items of this modality."""
    return sum((term.text if modality == "image" else term.picture) is not None for term in query.terms)


def query_vector(terms: Sequence[ReadTerm]) -> NDArray[np.float32]:
    """Returns the weighted sum of the terms' vectors, (dim,), float32, scaled to unit length."""
    heaviest = max(abs(term.weight) for term in terms)  # the length of the sum says nothing, and may be too small
    total = torch.stack([term.weight / heaviest * term.vector.float().cpu() for term in terms]).sum(dim=0)
    vector: NDArray[np.float32] = F.normalize(total, dim=0).numpy()
    return vector


def like(items: Float[Tensor, "items dim"], term: Float[Tensor, " dim"]) -> Float[Tensor, " items"]:
    """Returns log-odds that express how similar the vectors of two inputs of the same modality are.

    A cosine c becomes the probability (1 + c) / 2, so that a query of a single picture keeps the order of the cosines.

    items: (items, dim), of unit length. term: (dim,), of unit length.
    """
    cosines = (items.float() @ term.float()).clamp(-1 + 1e-6, 1 - 1e-6)
    return torch.log((1 + cosines) / (1 - cosines))


def probabilities(odds: Float[Tensor, " items"]) -> list[float]:
    """Converts log-odds to probabilities, in float64: in float32, all log-odds above 17 would give 1."""
    return torch.sigmoid(odds.double()).tolist()


def log_odds(
    model: Reader,
    terms: Sequence[ReadTerm],
    items: TokenStates,
    depth: int = 0,
    cosines: Float[Tensor, " items"] | None = None,
) -> Float[Tensor, " items"]:
    """Returns the log-odds that each item fits the query, as a weighted sum over the terms.

    A term of the other modality contributes the calibrated logit of the cross-encoder. Any other term contributes the
    log-odds from `like`, because the cross-encoder cannot match it.

    depth: the drop depth, see `Matcher.match`. cosines: of the items with the only term, if they are known.
    """
    total = torch.zeros(len(items), device=items.hidden.device)
    vectors = cache(lambda: as_embedder(model).embed(items))
    for term in terms:
        if (states := term.matched_states(items.modality)) is not None:
            matcher = as_matcher(model)
            slope, offset = matcher.calibration
            asked = states[[0] * len(items)]
            pairs = (items, asked) if items.modality == "text" else (asked, items)
            logits = matcher.match(*pairs, depth=depth).float()
            if matcher.cosine_weight:
                near = vectors() @ term.vector.to(total.device) if cosines is None else cosines.to(total.device)
                logits = logits + matcher.cosine_weight * near
            total += term.weight * (slope * logits + offset)
        else:
            total += term.weight * like(vectors(), term.vector.to(total.device))
    return total
