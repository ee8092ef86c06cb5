"""Negatives mined from the index: the wrong pictures that the twin encoder finds for a caption (arXiv:2007.00808)."""

from collections.abc import Sequence, Set
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

NEAREST: Final = 20
"""Wrong pictures that are kept of each caption."""


def nearest_wrong(
    texts: Float[Tensor, "texts dim"], images: Float[Tensor, "images dim"], fits: Sequence[Set[int]]
) -> Int[Tensor, "texts nearest"]:
    """For each text its nearest images that it does not fit, the nearest first; -1 where there are no more.

    texts, images: unit vectors. fits: for each text the rows of the images that it is true of.
    """
    found = torch.full((len(texts), NEAREST), -1, dtype=torch.int32)
    likeness = texts @ images.T
    for text, rows in enumerate(fits):
        likeness[text, list(rows)] = -torch.inf
    best = likeness.topk(min(NEAREST, len(images)))
    found[:, : best.indices.shape[1]] = best.indices.masked_fill(best.values.isinf(), -1).to("cpu", torch.int32)
    return found
