"""A device that is not there: tensors on it are computed by the CPU, and refuse to meet tensors that were left behind.

Its tensors say that they are on `DEVICE`. As on a GPU, an operation on tensors of both places is an error, and so is an
array of a tensor that is there.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.protocol import ImageInput, Picture
from polyglance.nn.states import TokenStates
from polyglance.types import Text

DEVICE: Final = torch.device("cuda:0")
_HERE_AND_THERE: Final = ("copy_", "__getitem__", "__setitem__")
"""Operations that take tensors of both places on a GPU as well: of indices, those that the CPU has."""


class There(Tensor):
    """A tensor on the device."""

    @classmethod
    def __torch_function__(cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _call(func, args, dict(kwargs or {}))


class _Everywhere(TorchFunctionMode):
    """What makes tensors, and moves them, knows the device."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _call(func, args, dict(kwargs or {}))


_entered = threading.local()


def enter() -> None:
    """From now on, this thread knows the device."""
    if not hasattr(_entered, "mode"):
        _entered.mode = _Everywhere()
        _entered.mode.__enter__()


def leave() -> None:
    if hasattr(_entered, "mode"):
        _entered.mode.__exit__(None, None, None)
        del _entered.mode


class ModelThere(SingleStreamModel):
    """A model on the device; the threads that it runs in know the device."""

    def open(self, image: ImageInput) -> Picture:
        enter()
        return super().open(image)

    def read(self, inputs: Sequence[Text] | Sequence[Picture]) -> TokenStates:
        enter()
        return super().read(inputs)


def moved(model: SingleStreamModel) -> ModelThere:
    """The model itself, with its weights on the device."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(parameter.detach().as_subclass(There), requires_grad=False)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = buffer.as_subclass(There)
    model.__class__ = ModelThere
    return model


def _call(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    name = getattr(func, "__name__", "")
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    is_there = any(isinstance(one, There) for one in tensors)
    with torch._C.DisableTorchFunctionSubclass():
        if func == Tensor.device.__get__:
            return DEVICE if is_there else func(*args, **kwargs)
        left_behind = [one for one in tensors if not isinstance(one, There) and one.ndim]
        if is_there and left_behind and name not in (*_HERE_AND_THERE, "to"):
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, {DEVICE}")
        if is_there and name in ("numpy", "__array__"):
            raise TypeError(f"a tensor on {DEVICE} is no array: move it to the CPU first")
        if name == "cpu":
            is_there = False
        elif name == "to":
            args, kwargs, is_there = _moving(args, kwargs, is_there)
        elif kwargs.get("device") is not None:
            is_there = torch.device(kwargs["device"]) == DEVICE
            if is_there:
                del kwargs["device"]
        made = func(*_as(Tensor, args), **_as(Tensor, kwargs))
        return (
            tree_map(lambda leaf: leaf.as_subclass(There) if isinstance(leaf, Tensor) else leaf, made)
            if is_there
            else made
        )


def _moving(args: Any, kwargs: dict[str, Any], is_there: bool) -> tuple[Any, dict[str, Any], bool]:
    """(the arguments of `Tensor.to` without a device, the same of those by name, whether the result is there)."""
    kept = [args[0]]
    for one in (*args[1:], *([kwargs.pop("device")] if "device" in kwargs else [])):
        if isinstance(one, str | torch.device):
            is_there = torch.device(one) == DEVICE
        elif isinstance(one, Tensor):
            is_there = isinstance(one, There)
            kept.append(one.dtype)
        elif isinstance(one, torch.dtype):
            kept.append(one)
    return kept, kwargs, is_there


def _as(kind: type[Tensor], values: Any) -> Any:
    """With every tensor among the values on the device, or off it."""

    def converted(leaf: Any) -> Any:
        moves = isinstance(leaf, There) or (kind is There and type(leaf) is Tensor)
        return leaf.as_subclass(kind) if moves else leaf

    return tree_map(converted, values)
