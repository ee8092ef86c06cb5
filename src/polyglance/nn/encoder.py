"""Transformer encoder layers, pre- and post-norm."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

NormPlacement = Literal["pre", "post"]


class Packing:
    """Where the real tokens of a padded batch are: layers multiply these alone, only attention sees equal rows.

    In a batch of captions of 6 to 30 tokens much would be padding. Large batches are filled up to a multiple of 128:
    oneDNN generates code for each new shape of a product, which takes longer than the product.
    """

    def __init__(self, mask: Bool[Tensor, "batch tokens"]) -> None:
        self.shape = mask.shape
        full = bool(mask.all())
        self.index = None if full else mask.flatten().nonzero().squeeze(1)
        self.spare = 0 if self.index is None or len(self.index) < 1024 else -len(self.index) % 128
        self.bias = None if full else attention_bias(mask)
        self.starts = F.pad(mask.sum(dim=1).cumsum(0)[:-1], (1, 0))

    def pack(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "real width"]:
        """The real tokens, one below the other."""
        flat = x.flatten(0, 1)
        if self.index is None:
            return flat
        return F.pad(flat.index_select(0, self.index), (0, 0, 0, self.spare))

    def first(self, x: Float[Tensor, "real width"]) -> Float[Tensor, "batch width"]:
        """The first token of each row, which must be a real one."""
        if self.index is None:
            return x[:: self.shape[1]]
        return x.index_select(0, self.starts)

    def unpack(self, x: Float[Tensor, "real width"]) -> Float[Tensor, "batch tokens width"]:
        """Back to rows, zero where there is padding."""
        if self.index is not None:
            x = x[: len(self.index)]
            x = x.new_zeros(self.shape[0] * self.shape[1], x.shape[1]).index_copy(0, self.index, x)
        return x.view(*self.shape, -1)


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al., arXiv:1706.03762, section 3.2), as two matrix products and a softmax.

    At lengths below about 100 tokens the two plain products train twice as fast on a CPU as
    `scaled_dot_product_attention`, whose backward pass dominates there. The softmax is taken in float32: over rows that
    are no multiple of 32 long torch takes several times as long in bfloat16.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "real width"], packing: Packing) -> Float[Tensor, "real width"]:
        """Every token asks every token of its row."""
        q, k, v = self._heads(packing.unpack(self.project_in(x)), 3)
        out: Tensor = self.project_out(packing.pack(self._attend(q, k, v, packing)))
        return out

    def first(self, x: Float[Tensor, "real width"], packing: Packing) -> Float[Tensor, "batch width"]:
        """What `forward` gives for the first token of each row, which alone asks."""
        width = x.shape[1]
        weight, bias = self.project_in.weight, self.project_in.bias
        (q,) = self._heads(F.linear(packing.first(x), weight[:width], bias[:width])[:, None], 1)
        k, v = self._heads(packing.unpack(F.linear(x, weight[width:], bias[width:])), 2)
        out: Tensor = self.project_out(self._attend(q, k, v, packing).squeeze(1))
        return out

    def _heads(self, x: Float[Tensor, "batch tokens parts_width"], parts: int) -> tuple[Tensor, ...]:
        """`parts` tensors (batch, heads, tokens, width of a head)."""
        split: tuple[Tensor, ...] = x.unflatten(-1, (parts, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        return split

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, packing: Packing) -> Float[Tensor, "batch asking width"]:
        with torch.autocast(q.device.type, enabled=False):
            scores = (q * (1 / math.sqrt(q.shape[-1]))) @ k.transpose(-1, -2)
            if packing.bias is not None:
                scores = scores + packing.bias.to(scores.dtype)
            mixed = scores.softmax(dim=-1, dtype=torch.float32).to(v.dtype) @ v
        return mixed.transpose(1, 2).flatten(2)


class EncoderLayer(nn.Module):
    """Self-attention and a GELU feed-forward, each with a residual; the norm before (`pre`) or after (`post`) them."""

    def __init__(
        self, width: int, heads: int, feed_forward: int, norm: NormPlacement = "pre", eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.norm = norm
        self.attention = SelfAttention(width, heads)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.feed_forward = nn.Sequential(nn.Linear(width, feed_forward), nn.GELU(), nn.Linear(feed_forward, width))
        self.feed_forward_norm = nn.LayerNorm(width, eps)

    def forward(self, x: Float[Tensor, "real width"], packing: Packing) -> Float[Tensor, "real width"]:
        return self._residuals(x, self.attention(self._before_attention(x), packing))

    def first(self, x: Float[Tensor, "real width"], packing: Packing) -> Float[Tensor, "batch width"]:
        """What `forward` gives for the first token of each row, at a sixth of the products."""
        return self._residuals(packing.first(x), self.attention.first(self._before_attention(x), packing))

    def become_identity(self) -> None:
        """Zeroes what the residuals add (of a pre-norm layer)."""
        for last in (self.attention.project_out, self.feed_forward[2]):
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def _before_attention(self, x: Tensor) -> Tensor:
        return self.attention_norm(x) if self.norm == "pre" else x

    def _residuals(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + attended if self.norm == "pre" else self.attention_norm(x + attended)
        fed: Tensor = self.feed_forward(self.feed_forward_norm(x) if self.norm == "pre" else x)
        return x + fed if self.norm == "pre" else self.feed_forward_norm(x + fed)


class Encoder(nn.Module):
    """A stack of layers; pre-norm stacks end in a norm of their own."""

    def __init__(
        self,
        layers: int,
        width: int,
        heads: int,
        feed_forward: int,
        norm: NormPlacement = "pre",
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(width, heads, feed_forward, norm, eps) for _ in range(layers))
        self.last_norm = nn.LayerNorm(width, eps) if norm == "pre" else nn.Identity()

    def forward(
        self, x: Float[Tensor, "batch tokens width"], mask: Bool[Tensor, "batch tokens"]
    ) -> Float[Tensor, "batch tokens width"]:
        """mask: True for tokens that may be attended to; the others come out as zeros."""
        packing = Packing(mask)
        x = packing.pack(x)
        for layer in self.layers:
            x = layer(x, packing)
        return packing.unpack(self.last_norm(x))

    def first(
        self, x: Float[Tensor, "batch tokens width"], mask: Bool[Tensor, "batch tokens"]
    ) -> tuple[Float[Tensor, "batch width"], Callable[[], Float[Tensor, "batch tokens width"]]]:
        """(the first token's state, as `forward` gives it; a function that returns all states half-way up).

        The last layer is spared for all tokens but the first.
        """
        packing = Packing(mask)
        x = halfway = packing.pack(x)
        for done, layer in enumerate(self.layers[:-1], 1):
            x = layer(x, packing)
            if done == (len(self.layers) + 1) // 2:
                halfway = x
        last = cast("EncoderLayer", self.layers[-1])
        return self.last_norm(last.first(x, packing)), partial(packing.unpack, halfway)


def attention_bias(mask: Bool[Tensor, "batch tokens"]) -> Float[Tensor, "batch 1 1 tokens"]:
    """0 where the mask is True, -10,000 elsewhere; to be added to attention scores of any dtype."""
    return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -1e4)[:, None, None, :]


def unit(x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
    """Scaled to unit length along the last axis, in float32."""
    return F.normalize(x.float(), dim=-1)
