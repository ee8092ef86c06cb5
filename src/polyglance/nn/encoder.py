"""Transformer encoder layers, pre- and post-norm."""

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

NormPlacement = Literal["pre", "post"]


class Packing:
    """Where the real tokens of a padded batch are: layers multiply these alone, only attention sees equal rows.

    In a batch of captions of 6 to 30 tokens three quarters would be padding. Large batches are filled up to a multiple
    of 128: oneDNN generates code for each new shape of a product, which took a fifth of a training step's time.
    """

    def __init__(self, mask: Bool[Tensor, "batch tokens"]) -> None:
        self.shape = mask.shape
        full = bool(mask.all())
        self.index = None if full else mask.flatten().nonzero().squeeze(1)
        self.spare = 0 if self.index is None or len(self.index) < 1024 else -len(self.index) % 128
        self.bias = None if full else attention_bias(mask)

    def pack(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "real width"]:
        """The real tokens, one below the other."""
        flat = x.flatten(0, 1)
        if self.index is None:
            return flat
        return F.pad(flat.index_select(0, self.index), (0, 0, 0, self.spare))

    def unpack(self, x: Float[Tensor, "real width"]) -> Float[Tensor, "batch tokens width"]:
        """Back to rows, zero where there is padding."""
        if self.index is not None:
            x = x[: len(self.index)]
            x = x.new_zeros(self.shape[0] * self.shape[1], x.shape[1]).index_copy(0, self.index, x)
        return x.view(*self.shape, -1)


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al., arXiv:1706.03762, section 3.2), as two matrix products and a softmax.

    At lengths below about 100 tokens the two plain products train twice as fast on a CPU as
    `scaled_dot_product_attention`, whose backward pass dominates there.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "real width"], packing: Packing) -> Float[Tensor, "real width"]:
        rows = packing.unpack(self.project_in(x))
        q, k, v = rows.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        with torch.autocast(x.device.type, enabled=False):  # which would take the softmax to float32 and back
            scores = (q * (1 / math.sqrt(q.shape[-1]))) @ k.transpose(-1, -2)
            if packing.bias is not None:
                scores = scores + packing.bias.to(scores.dtype)
            mixed = scores.softmax(dim=-1) @ v
        out: Tensor = self.project_out(packing.pack(mixed.transpose(1, 2).flatten(2)))
        return out


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
        if self.norm == "pre":
            x = x + self.attention(self.attention_norm(x), packing)
            x = x + self.feed_forward(self.feed_forward_norm(x))
        else:
            x = self.attention_norm(x + self.attention(x, packing))
            x = self.feed_forward_norm(x + self.feed_forward(x))
        return x


class Encoder(nn.Module):
    """A stack of layers; pre-norm stacks end in a norm of their own."""

    def __init__(self, layers: int, width: int, heads: int, feed_forward: int, norm: NormPlacement = "pre") -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(width, heads, feed_forward, norm) for _ in range(layers))
        self.last_norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()

    def forward(
        self, x: Float[Tensor, "batch tokens width"], mask: Bool[Tensor, "batch tokens"]
    ) -> Float[Tensor, "batch tokens width"]:
        """mask: True for tokens that may be attended to; the others come out as zeros."""
        packing = Packing(mask)
        x = packing.pack(x)
        for layer in self.layers:
            x = layer(x, packing)
        return packing.unpack(self.last_norm(x))


def attention_bias(mask: Bool[Tensor, "batch tokens"]) -> Float[Tensor, "batch 1 1 tokens"]:
    """0 where the mask is True, -10,000 elsewhere; to be added to attention scores of any dtype."""
    return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -1e4)[:, None, None, :]


def unit(x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
    """Scaled to unit length along the last axis, in float32."""
    return F.normalize(x.float(), dim=-1)
