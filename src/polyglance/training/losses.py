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


def pairwise_sigmoid(
    texts: Float[Tensor, "rows dim"],
    images: Float[Tensor, "rows dim"],
    scale: Float[Tensor, ""],
    bias: Float[Tensor, ""],
    also_true: Bool[Tensor, "rows rows"],
) -> Tensor:
    """The sigmoid loss of SigLIP (arXiv:2303.15343, algorithm 1): every pair of the batch is a question by itself.

    scale, bias: learned, its t and b. What is also true is left out. The sum over pairs, for each row.
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
    """The triplet loss with the hardest negative of the batch, both ways (VSE++, arXiv:1707.05612, equation 6).

    The authors of arXiv:2103.11920 train their twin encoder by it, with a margin of 0.1.
    """
    cosines = texts @ images.T
    own = cosines.diagonal()
    others = cosines.masked_fill(also_true | torch.eye(len(own), dtype=torch.bool, device=own.device), -2)
    to_image = F.relu(margin - own + others.amax(dim=1))
    to_text = F.relu(margin - own + others.amax(dim=0))
    return (to_image + to_text).mean()


def binary_match(right: Float[Tensor, " rows"], wrong: Float[Tensor, " rows"]) -> Tensor:
    """Binary cross-entropy of matched pairs and as many wrong ones, as arXiv:2103.11920 trains its cross-encoder."""
    return (F.softplus(-right).mean() + F.softplus(wrong).mean()) / 2


def ranked_match(right: Float[Tensor, " rows"], wrong: Float[Tensor, "rows negatives"]) -> Tensor:
    """Cross-entropy of the right one among its negatives: which of them it is, not whether it is."""
    logits = torch.cat([right[:, None], wrong], dim=1)
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


def taught_order(student: Float[Tensor, "rows candidates"], teacher: Float[Tensor, "rows candidates"]) -> Tensor:
    """How far the student's softmax over each row's candidates is from the teacher's (Kullback-Leibler), as a retriever
    learns the order of a reranker over lists of candidates in RocketQAv2 (arXiv:2110.07367)."""
    return F.kl_div(student.log_softmax(dim=1), teacher.log_softmax(dim=1), reduction="batchmean", log_target=True)
