"""The head of masked-language modelling, whose last product is with the token embeddings."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class TokenHead(nn.Module):
    """What stands between the last states and the product with the token embeddings, which gives the logits."""

    def __init__(self, width: int, vocabulary: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(
        self,
        states: Float[Tensor, "*places width"],
        embeddings: Float[Tensor, "vocabulary width"],
        inverse: Callable[[Tensor], Tensor] | None = None,
    ) -> Float[Tensor, "*places vocabulary"]:
        """Logits of the token in each place. states: the last layer's.

        inverse: of the invertible adapters that the embeddings went through, `Adaptation.uncouple`; it stands before
        the last product (MAD-X, arXiv:2005.00052, section 2.2.3).
        """
        out = self.norm(F.gelu(self.dense(states)))
        return F.linear(out if inverse is None else inverse(out), embeddings, self.bias)
