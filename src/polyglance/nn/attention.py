"""Attention over the real tokens of a padded batch."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from polyglance.kernels.attention import attention
from polyglance.kernels.linear import linear


class Packing:
    """The positions of the real tokens of a padded batch, so that layers multiply these alone and only attention sees
    padding.

    In a batch of captions of 6 to 30 tokens much would be padding. From 1024 tokens on, packed batches are padded to a
    multiple of 128: oneDNN generates code for each new shape of a product, which takes longer than the product.

    mask: True for a real token.
    """

    def __init__(self, mask: Bool[Tensor, "batch tokens"]) -> None:
        self.mask, self.shape, self.device = mask, mask.shape, mask.device
        full = bool(mask.all())
        self.index = None if full else mask.flatten().nonzero().squeeze(1)
        self.spare = 0 if self.index is None or len(self.index) < 1024 else -len(self.index) % 128
        self.bias = None if full else attention_bias(mask)
        self.starts = F.pad(mask.sum(dim=1).cumsum(0)[:-1], (1, 0))

    def pack(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "real width"]:
        """Concatenates the real tokens of all rows."""
        flat = x.flatten(0, 1)
        if self.index is None:
            return flat
        return F.pad(flat.index_select(0, self.index), (0, 0, 0, self.spare))

    @property
    def row(self) -> Int[Tensor, " real"]:
        """The row of each real token."""
        if self.index is None:
            rows, tokens = self.shape
            return torch.arange(rows, device=self.device).repeat_interleave(tokens)
        return self.index // self.shape[1]

    def of_tokens(self, values: Tensor) -> Tensor:
        """Selects the real tokens from values of shape (batch, tokens)."""
        return values.flatten() if self.index is None else values.flatten()[self.index]

    def tokens_of(self, rows: Int[Tensor, " taken"], taken: "Packing") -> Int[Tensor, " real"]:
        """Returns the positions of the tokens of some rows in this packing, in the order of `taken`, the rows' own
        packing."""
        places = (self.mask.flatten().cumsum(0) - 1).view(self.shape)[rows]
        return F.pad(taken.of_tokens(places), (0, taken.spare))

    def first(self, x: Float[Tensor, "real width"]) -> Float[Tensor, "batch width"]:
        """Selects the first token of each row, which must be real."""
        if self.index is None:
            return x[:: self.shape[1]]
        return x.index_select(0, self.starts)

    def unpack(self, x: Float[Tensor, "real width"]) -> Float[Tensor, "batch tokens width"]:
        """Restores the padded batch; padding is zero."""
        if self.index is not None:
            x = x[: len(self.index)]
            x = x.new_zeros(self.shape[0] * self.shape[1], x.shape[1]).index_copy(0, self.index, x)
        return x.view(*self.shape, -1)


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al., arXiv:1706.03762, section 3.2)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "real width"], packing: Packing) -> Float[Tensor, "real width"]:
        """Attends from every token to every token of its row.

        The result is not yet multiplied by `project_out`: the layer does that and adds the residual in the same pass.
        """
        q, k, v = self._heads(packing.unpack(linear(x, self.project_in.weight, self.project_in.bias)), 3)
        return packing.pack(_side_by_side(attention(q, k, v, packing.bias)))

    def first(self, x: Float[Tensor, "real width"], packing: Packing) -> Float[Tensor, "batch width"]:
        """Computes what `forward` returns for the first token of each row, without the other queries."""
        width = x.shape[1]
        weight, bias = self.project_in.weight, self.project_in.bias
        (q,) = self._heads(linear(packing.first(x), weight[:width], bias[:width])[:, None], 1)
        k, v = self._heads(packing.unpack(linear(x, weight[width:], bias[width:])), 2)
        return _side_by_side(attention(q, k, v, packing.bias)).squeeze(1)

    def _heads(self, x: Float[Tensor, "batch tokens parts_width"], parts: int) -> tuple[Tensor, ...]:
        """Splits x into `parts` tensors of shape (batch, heads, tokens, width of a head)."""
        split: tuple[Tensor, ...] = x.unflatten(-1, (parts, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        return split


def _side_by_side(
    heads: Float[Tensor, "batch heads tokens head_width"],
) -> Float[Tensor, "batch tokens width"]:
    return heads.transpose(1, 2).flatten(2)


def attention_bias(mask: Bool[Tensor, "batch tokens"]) -> Float[Tensor, "batch 1 1 tokens"]:
    """Returns a bias for attention scores of any dtype: 0 where the mask is True, -10,000 elsewhere."""
    return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -1e4)[:, None, None, :]
