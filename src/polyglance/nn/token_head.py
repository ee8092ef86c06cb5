"""The masked-language-modelling head, which ends in a product with the token embeddings."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class TokenHead(nn.Module):
    """Maps the last states to logits by a projection, a GELU, a norm and a product with the token embeddings.

    width: of the states. vocabulary: the number of tokens. eps: of the norm.
    """

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
        """Returns the logits of the token in each place.

        states: of the last layer. embeddings: of the tokens. inverse: `Adaptation.uncouple`, the inverse of the
        invertible adapters that acted on the embeddings, applied before the last product (MAD-X, arXiv:2005.00052,
        section 2.2.3); None if there are none.
        """
        out = self.norm(F.gelu(self.dense(states)))
        return F.linear(out if inverse is None else inverse(out), embeddings, self.bias)
