"""Losses of the twin encoder and of the cross-encoder, over one batch of pairs."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


def info_nce(
    texts: Float[Tensor, "rows dim"],
    images: Float[Tensor, "rows dim"],
    scale: Float[Tensor, ""],
    also_true: Bool[Tensor, "rows rows"],
    foils: Float[Tensor, "foils dim"],
) -> Tensor:
    """Symmetric InfoNCE (CLIP: arXiv:2103.00020, figure 3) in which what is also true is no negative.

    texts, images: unit vectors, row i of one belongs to row i of the other. scale: the learned inverse temperature.
    also_true[i, j]: text i is, or may be, true of image j too (the diagonal is ignored). foils: a false text for each
    of the first images, a further negative in the image-to-text direction.
    """
    logits = scale * texts @ images.T
    others = also_true & ~torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(others, float("-inf"))
    right = torch.arange(len(logits), device=logits.device)
    false = scale * (images[: len(foils)] * foils).sum(dim=-1)
    to_text = torch.cat([logits.T, F.pad(false, (0, len(logits) - len(foils)), value=float("-inf"))[:, None]], dim=1)
    return (F.cross_entropy(logits, right) + F.cross_entropy(to_text, right)) / 2


def hard_negatives(
    similarities: Float[Tensor, "rows columns"],
    excluded: Bool[Tensor, "rows columns"],
    sharpness: float,
    generator: torch.Generator,
) -> Int[Tensor, " rows"]:
    """One column a row, drawn with probability exp(sharpness * similarity) from those not excluded.

    Drawing softens "the hardest": while the twin encoder still knows nothing its similarities are level and negatives
    are random; they turn hard as it learns, which spares the match loss a late start.
    """
    logits = (sharpness * similarities.detach()).masked_fill(excluded.to(similarities.device), float("-inf"))
    probabilities = logits.softmax(dim=-1).nan_to_num(1 / logits.shape[1]).cpu()
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
