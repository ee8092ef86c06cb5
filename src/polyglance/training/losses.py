"""Losses of the twin encoder and of the cross-encoder over one batch of pairs."""

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
    """Symmetric InfoNCE (CLIP, arXiv:2103.00020, figure 3) without false negatives.

    texts, images: unit vectors; row i of one belongs to row i of the other. scale: the learned inverse temperature.
    also_true[i, j]: whether text i is or may be true of image j, which is then no negative (the diagonal is ignored).
    foils: one false text for each of the first images, an additional negative in the image-to-text direction.
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
    """Draws one column per row, with probability proportional to exp(sharpness * similarity).

    The negatives are random while the similarities of an untrained twin encoder are equal and become harder as it
    learns, so that the match loss can be used from the first step.

    excluded: columns that are never drawn, unless a row excludes all. generator: of the draws.
    """
    logits = (sharpness * similarities.detach()).masked_fill(excluded.to(similarities.device), float("-inf"))
    probabilities = logits.softmax(dim=-1).nan_to_num(1 / logits.shape[1]).cpu()
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(1)


def pairwise_sigmoid(
    texts: Float[Tensor, "rows dim"],
    images: Float[Tensor, "rows dim"],
    scale: Float[Tensor, ""],
    bias: Float[Tensor, ""],
    also_true: Bool[Tensor, "rows rows"],
) -> Tensor:
    """The sigmoid loss of SigLIP (arXiv:2303.15343, algorithm 1): a binary loss of every pair, summed and divided by
    rows.

    texts, images: unit vectors. scale, bias: learned, t and b in the paper. also_true[i, j]: whether the pair of text i
    and image j is left out (the diagonal is ignored).
    """
    logits = scale * texts @ images.T + bias
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    terms = F.softplus(torch.where(own, -logits, logits)).masked_fill(also_true & ~own, 0)
    return terms.sum() / len(logits)


def hardest_triplet(
    texts: Float[Tensor, "rows dim"],
    images: Float[Tensor, "rows dim"],
    margin: float,
    also_true: Bool[Tensor, "rows rows"],
) -> Tensor:
    """The triplet loss with the hardest negative of the batch in both directions (VSE++, arXiv:1707.05612, equation 6).

    The authors of arXiv:2103.11920 train their twin encoder with it, at a margin of 0.1. texts, images: unit vectors.
    also_true[i, j]: whether text i is true of image j, which is then no negative.
    """
    cosines = texts @ images.T
    own = cosines.diagonal()
    others = cosines.masked_fill(also_true | torch.eye(len(own), dtype=torch.bool, device=own.device), -2)
    to_image = F.relu(margin - own + others.amax(dim=1))
    to_text = F.relu(margin - own + others.amax(dim=0))
    return (to_image + to_text).mean()


def binary_match(right: Float[Tensor, " rows"], wrong: Float[Tensor, " rows"]) -> Tensor:
    """Binary cross-entropy of right and wrong pairs, which arXiv:2103.11920 trains its cross-encoder with.

    right, wrong: logits.
    """
    return (F.softplus(-right).mean() + F.softplus(wrong).mean()) / 2


def ranked_match(right: Float[Tensor, " rows"], wrong: Float[Tensor, "rows negatives"]) -> Tensor:
    """Cross-entropy of the right pair among its negatives. right, wrong: logits."""
    logits = torch.cat([right[:, None], wrong], dim=1)
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


def taught_order(student: Float[Tensor, "rows candidates"], teacher: Float[Tensor, "rows candidates"]) -> Tensor:
    """The Kullback-Leibler divergence of the student's softmax over each row's candidates from the teacher's.

    A retriever learns the order of a reranker in this way in RocketQAv2 (arXiv:2110.07367). student, teacher: logits.
    """
    return F.kl_div(student.log_softmax(dim=1), teacher.log_softmax(dim=1), reduction="batchmean", log_target=True)
