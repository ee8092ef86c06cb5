"""Layers of transformers' networks that compute the same as before, with the weights of the same names, by our own
products."""

import math
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyglance.kernels.attention import attention
from polyglance.kernels.linear import Activation, linear

_ATTENTION: Final = "polyglance"


def use_kernels(network: Any, image_tower: Any) -> None:
    """Affine maps of the network, and attention and activations of its image tower, take less time from here on.

    image_tower: a part of it, that attends to all tokens of a picture. Weights keep their names, and their values but
    around QuickGELU.
    """
    from transformers import AttentionInterface
    from transformers.activations import GELUActivation, GELUTanh, QuickGELUActivation

    fused: dict[type[nn.Module], Activation] = {GELUTanh: "gelu_tanh", GELUActivation: "gelu"}
    for module in network.modules():
        if type(module) is nn.Linear:
            module.__class__ = _Linear
    AttentionInterface.register(_ATTENTION, _attention)
    image_tower.config._attn_implementation = _ATTENTION
    for part in list(image_tower.modules()):
        if type(part) is nn.MultiheadAttention:
            part.__class__ = _Pooling
        elif type(part) is nn.Conv2d and part.stride == part.kernel_size:
            part.__class__ = _Patches
        follows = type(getattr(part, "activation_fn", None))
        if follows in fused:
            part.fc1.activation, part.activation_fn = fused[follows], nn.Identity()
        elif follows is QuickGELUActivation:
            _by_silu(part)


def _by_silu(mlp: Any) -> None:
    """QuickGELU, x sigmoid(1.702 x), is silu(1.702 x) / 1.702, and SiLU is computed with the product in front of it:
    the factors go into the weights around it."""
    for weight in (mlp.fc1.weight, mlp.fc1.bias):
        weight.data.mul_(1.702)
    mlp.fc2.weight.data.div_(1.702)
    mlp.fc1.activation, mlp.activation_fn = "silu", nn.Identity()


class _Linear(nn.Linear):
    activation: Activation | None = None

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias, self.activation)


class _Patches(nn.Conv2d):
    """One product for all patches, which do not overlap."""

    def forward(self, x: Tensor) -> Tensor:
        (high, wide), (down, across) = self.kernel_size, (x.shape[2], x.shape[3])
        whole = x[..., : down - down % high, : across - across % wide]
        patches = whole.unflatten(3, (-1, wide)).unflatten(2, (-1, high)).permute(0, 2, 4, 1, 3, 5).flatten(3)
        return linear(patches, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class _Pooling(nn.MultiheadAttention):
    """SigLIP's one query for a picture, without a key or a value for each token: what the query asks is brought to the
    tokens' width, and what it gets from there. torch's own also copies the weights for each token."""

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None
    ) -> tuple[Tensor, None]:
        """attn_mask: of floats, (batch * heads, 1, tokens)."""
        to_query, to_key, to_value = self.in_proj_weight.chunk(3)
        query_bias, _, value_bias = self.in_proj_bias.chunk(3)  # a key's is the same for all tokens
        asking = linear(query, to_query, query_bias).unflatten(-1, (self.num_heads, -1)) / math.sqrt(self.head_dim)
        asked = torch.einsum("bohd,hdw->bhw", asking, to_key.unflatten(0, (self.num_heads, -1)))
        scores = asked @ key.mT
        if attn_mask is not None:
            scores = scores + attn_mask.to(scores.dtype).view_as(scores)
        weights = torch.softmax(scores, dim=-1)
        got = torch.einsum("bhw,hdw->bhd", weights @ value, to_value.unflatten(0, (self.num_heads, -1)))
        return linear(got.flatten(1)[:, None] + value_bias, self.out_proj.weight, self.out_proj.bias), None


def _attention(
    module: nn.Module,
    query: Float[Tensor, "batch heads tokens head_width"],
    key: Float[Tensor, "batch heads tokens head_width"],
    value: Float[Tensor, "batch heads tokens head_width"],
    attention_mask: Float[Tensor, "batch 1 1 tokens"] | None,
    **settings: object,
) -> tuple[Float[Tensor, "batch tokens heads head_width"], None]:
    """As transformers calls its own; all towers scale by the root of head_width and drop nothing."""
    return attention(query, key, value, attention_mask).transpose(1, 2), None
