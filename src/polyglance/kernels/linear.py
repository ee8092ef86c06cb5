"""Affine maps fused with an activation or a residual, computed in the fastest way for the processor."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from threading import Lock
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
"""The `_Packed` of each weight that was ordered."""
_PACKING = Lock()
_address_of: Callable[[Tensor], int] = torch._C._data_address  # type: ignore[attr-defined]
"""The address of a tensor's memory; unlike `data_ptr`, reading it does not count as a write."""


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
    """Returns activation(x weight' + bias).

    On a CPU without gradients oneDNN computes this in one pass: torch's own float32 product has half the speed on some
    processors, and a separate activation reads and writes all values once more.
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
    """Returns x weight' + bias + onto."""
    if _fused(x, weight) and onto.dtype == x.dtype:
        return cast("Tensor", torch.ops.mkldnn._linear_pointwise.binary(x, onto, _packed(weight), bias, "add"))
    return _differentiable(x, weight, bias) + onto


def _fused(x: Tensor, weight: Tensor) -> bool:
    return not torch.is_grad_enabled() and x.dtype in _onednn_dtypes() and _on_cpu(x, weight)


@cache
def _onednn_dtypes() -> tuple[torch.dtype, ...]:
    """The dtypes that oneDNN multiplies natively on this processor."""
    if not torch.backends.mkldnn.is_available():
        return ()
    native = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return (torch.float32, torch.bfloat16) if native else (torch.float32,)


def _on_cpu(x: Tensor, weight: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == weight.dtype and not torch.is_autocast_enabled("cpu")


@dataclass(frozen=True, eq=False)
class _Packed:
    """A weight in oneDNN's own order.

    ordered: the ordered weight; None if writes to the weight cannot be detected, as in memory that torch did not
    allocate (a mapped file, for example). original: a lazy clone, which shares its memory with the weight until either
    is written to, through any alias or view; the writer then moves to a copy (torch's copy-on-write). `_version` is not
    enough, because writes to `weight.data` do not change it. Writes through a NumPy array or a raw pointer that was
    taken before the weight's first product are not detected. address: of the original's memory.
    """

    ordered: Tensor | None
    original: Tensor
    address: int

    @staticmethod
    def of(weight: Tensor) -> "_Packed":
        weight = weight.detach()
        # First: it reads memory as if it wrote to it
        ordered: Tensor | None = torch.ops.mkldnn._reorder_linear_weight(weight)
        try:
            original = torch._lazy_clone(weight)
        except RuntimeError:
            ordered, original = None, weight
        return _Packed(ordered, original, _address_of(original))

    def is_of(self, weight: Tensor) -> bool:
        """Whether the weight is unchanged since it was ordered."""
        return (
            _address_of(weight) == self.address
            and weight.dtype == self.original.dtype
            and weight.stride() == self.original.stride()
            and weight.shape == self.original.shape
        )


def _packed(weight: Tensor) -> Tensor:
    """Returns a parameter in oneDNN's own order, which is kept until the parameter is written to.

    Short batches would otherwise spend a tenth of their time on ordering weights.
    """
    if not isinstance(weight, nn.Parameter):
        return weight
    packed = cast("_Packed | None", _PACKED.get(weight))
    if packed is None or not packed.is_of(weight):
        with _PACKING:  # threads would move the same memory
            packed = cast("_Packed | None", _PACKED.get(weight))
            if packed is None or not packed.is_of(weight):
                packed = _PACKED[weight] = _Packed.of(weight)
    return weight if packed.ordered is None else packed.ordered


def _differentiable(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    frozen = x.requires_grad and not weight.requires_grad and not (bias is not None and bias.requires_grad)
    if frozen and x.dtype == torch.float32 in _onednn_dtypes() and _on_cpu(x, weight):
        return cast("Tensor", _FrozenLinear.apply(x, weight, bias))  # type: ignore[no-untyped-call]
    return F.linear(x, weight, bias)


class _FrozenLinear(torch.autograd.Function):
    """The affine map of a frozen layer in float32, forward through oneDNN.

    Backward is torch's own product: oneDNN would order the transposed weight anew in each call, which takes up to twice
    as long as the product itself.
    The weight is not kept in oneDNN's order: the backward pass could not use it, and reads memory as if it wrote to it.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        _PACKED.pop(weight, None)
        return linear(x, weight.detach(), bias)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradients[0] @ weight, None, None
