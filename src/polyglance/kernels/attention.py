"""Multi-head attention, computed in the fastest way for the processor."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def attention(
    q: Float[Tensor, "batch heads asking head_width"],
    k: Float[Tensor, "batch heads tokens head_width"],
    v: Float[Tensor, "batch heads tokens head_width"],
    bias: Float[Tensor, "batch 1 1 tokens"] | None,
) -> Float[Tensor, "batch heads asking head_width"]:
    """softmax(q k' / sqrt(head_width) + bias) v (Vaswani et al., arXiv:1706.03762, equation 1).

    In bfloat16 on a CPU, two products batched over all heads take half the time of `scaled_dot_product_attention`, and
    a fifth with gradients (`benchmarks/kernels.py`).

    q, k, v: of one dtype. bias: added to the scores, such as a large negative value for padding; None for none.
    """
    bias = None if bias is None else bias.to(q.dtype)
    with torch.autocast(q.device.type, enabled=False):
        if q.dtype == torch.bfloat16 and q.device.type == "cpu":
            return _two_products(q, k, v, bias)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def _two_products(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    batch, heads = q.shape[:2]
    scale = 1 / math.sqrt(q.shape[-1])
    q, k, v = (part.flatten(0, 1) for part in (q, k, v))
    if bias is None:
        scores = torch.baddbmm(q.new_empty(1), q, k.mT, beta=0, alpha=scale)
    else:
        scores = torch.baddbmm(bias.expand(-1, heads, -1, -1).flatten(0, 1), q, k.mT, alpha=scale)
    return torch.bmm(_softmax(scores), v).view(batch, heads, *q.shape[1:])


def _softmax(scores: Float[Tensor, "batch asking tokens"]) -> Float[Tensor, "batch asking tokens"]:
    """Softmax over the last axis, in float32 unless its length is a multiple of 32: in bfloat16, other lengths take
    torch up to three times as long."""
    if scores.shape[-1] % 32 == 0:
        return torch.softmax(scores, dim=-1)
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(scores.dtype)
