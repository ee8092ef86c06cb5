"""Mining of negatives: the wrong pictures that the twin encoder retrieves for a caption (ANCE, arXiv:2007.00808)."""

from collections.abc import Sequence, Set
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

NEAREST: Final = 20
"""The number of wrong pictures kept for each caption."""


def nearest_wrong(
    texts: Float[Tensor, "texts dim"], images: Float[Tensor, "images dim"], fits: Sequence[Set[int]]
) -> Int[Tensor, "texts nearest"]:
    """Returns the nearest images that each text is not true of, the nearest first, filled up with -1.

    texts, images: unit vectors. fits: for each text, the rows of the images that it is true of.
    """
    nearest = torch.full((len(texts), NEAREST), -1, dtype=torch.int32)
    likeness = texts @ images.T
    for text, rows in enumerate(fits):
        likeness[text, list(rows)] = -torch.inf
    best = likeness.topk(min(NEAREST, len(images)))
    nearest[:, : best.indices.shape[1]] = best.indices.masked_fill(best.values.isinf(), -1).to("cpu", torch.int32)
    return nearest
