"""One affine map with what follows it, as the processor runs it fastest."""

from functools import cache
from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F
from torch.utils.weak import WeakIdKeyDictionary

Activation = Literal["relu", "gelu", "gelu_tanh", "silu"]

_FUSED_NAME: dict[Activation | None, tuple[str, str]] = {
    None: ("none", ""),
    "relu": ("relu", ""),
    "gelu": ("gelu", "none"),
    "gelu_tanh": ("gelu", "tanh"),
    "silu": ("swish", ""),
}

_PACKED = WeakIdKeyDictionary()


def activate(x: Tensor, activation: Activation | None) -> Tensor:
    match activation:
        case "relu":
            return F.relu(x)
        case "gelu":
            return F.gelu(x)
        case "gelu_tanh":
            return F.gelu(x, approximate="tanh")
        case "silu":
            return F.silu(x)
        case None:
            return x


def linear(
    x: Float[Tensor, "*batch inputs"],
    weight: Float[Tensor, "outputs inputs"],
    bias: Float[Tensor, " outputs"] | None,
    activation: Activation | None = None,
) -> Float[Tensor, "*batch outputs"]:
    """activation(x weight' + bias).

    On a CPU without gradients oneDNN computes it in one pass: torch's own float32 product runs at half of that speed on
    some processors, and an activation of its own reads and writes everything once more.
    """
    if _fused(x, weight):
        name, algorithm = _FUSED_NAME[activation]
        return cast("Tensor", torch.ops.mkldnn._linear_pointwise(x, _packed(weight), bias, name, [], algorithm))
    return activate(_differentiable(x, weight, bias), activation)


def linear_onto(
    x: Float[Tensor, "*batch inputs"],
    weight: Float[Tensor, "outputs inputs"],
    bias: Float[Tensor, " outputs"] | None,
    onto: Float[Tensor, "*batch outputs"],
) -> Float[Tensor, "*batch outputs"]:
    """x weight' + bias + onto."""
    if _fused(x, weight) and onto.dtype == x.dtype:
        return cast("Tensor", torch.ops.mkldnn._linear_pointwise.binary(x, onto, _packed(weight), bias, "add"))
    return _differentiable(x, weight, bias) + onto


def _fused(x: Tensor, weight: Tensor) -> bool:
    return not torch.is_grad_enabled() and x.dtype in _onednn_dtypes() and _on_cpu(x, weight)


@cache
def _onednn_dtypes() -> tuple[torch.dtype, ...]:
    """Those that oneDNN multiplies on this processor."""
    if not torch.backends.mkldnn.is_available():
        return ()
    native = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return (torch.float32, torch.bfloat16) if native else (torch.float32,)


def _on_cpu(x: Tensor, weight: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == weight.dtype and not torch.is_autocast_enabled("cpu")


def _packed(weight: Tensor) -> Tensor:
    """A parameter in oneDNN's own order, kept for as long as it is not changed: short batches spend a tenth of their
    time on ordering weights."""
    if not isinstance(weight, nn.Parameter) or weight.is_inference():
        return weight
    version, packed = cast("tuple[int, Tensor]", _PACKED.get(weight, (-1, weight)))
    if version != weight._version:
        packed = cast("Tensor", torch.ops.mkldnn._reorder_linear_weight(weight.detach()))
        _PACKED[weight] = weight._version, packed
    return packed


def _differentiable(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    frozen = x.requires_grad and not weight.requires_grad and not (bias is not None and bias.requires_grad)
    if frozen and x.dtype == torch.float32 in _onednn_dtypes() and _on_cpu(x, weight):
        return cast("Tensor", _FrozenLinear.apply(x, weight, bias))  # type: ignore[no-untyped-call]
    return F.linear(x, weight, bias)


class _FrozenLinear(torch.autograd.Function):
    """The affine map of a frozen layer in float32, forward and backward through oneDNN."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return linear(x, weight, bias)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return linear(gradients[0].contiguous(), weight.t(), None), None, None
