"""Stores weights in few bits, rounded to multiples of a scale. When loaded they are floating point again.

    NAME.int8    int8, the shape of the weight: each value as a multiple of its channel's scale
    NAME.int4    uint8, (..., ceil(width / 2)): two values per byte. The lower four bits hold the first half of a row,
                 the upper ones the second half, each value as 8 plus a multiple of its group's scale.
    NAME.scale   float16. With int8 (channels,), a scale for each index of the first dimension. With int4 (..., groups),
                 a scale for each 64 values of a row, or for the whole row if 64 does not divide its length.

A weight that is not packed is stored under its own name.
"""

from collections.abc import Collection, Mapping
from typing import Final

import torch
from jaxtyping import Float16, Float32, Int8, UInt8
from torch import Tensor

from polyglance.errors import ConfigurationError

_INT8: Final = ".int8"
_INT4: Final = ".int4"
_SCALE: Final = ".scale"
_FEWEST: Final = 1000
"""Values of a weight; packing a smaller one saves next to nothing."""
_GROUP: Final = 64
_LEAST: Final = 2**-24
"""The smallest positive float16."""
_FACTORS: Final = torch.linspace(0.7, 1, 13)
"""Scales to try for a group, as fractions of the scale that clips nothing.

With 0.875 and 1 among them, weights that were unpacked are packed to the same values again, because the largest
multiple in a group is -8 or 7.
"""


def pack(weights: Mapping[str, Tensor], in_4_bits: Collection[str] = ()) -> dict[str, Tensor]:
    """Packs weights for a file.

    Args:
        weights: floating point, of any shapes. Those with two or more dimensions and at least 1,000 values are stored
            in 8 bits, with an error of at most half a step. Biases, vectors and small weights stay as they are.
        in_4_bits: the names of the weights to store in 4 bits instead, whatever their size.

    Raises:
        ConfigurationError: a name in `in_4_bits` is not the name of a weight, or a weight to pack holds a value that is
            not finite or is too large for a scale in float16.
    """
    if strange := sorted(set(in_4_bits) - weights.keys()):
        raise ConfigurationError(f"expected names of weights to store in 4 bits, got {', '.join(strange)}")
    packed = {}
    for name, weight in weights.items():
        if name in in_4_bits:
            packed[name + _INT4], scale = _in_4_bits(weight.float())
        elif weight.ndim > 1 and weight.numel() >= _FEWEST and not name.endswith("bias"):
            packed[name + _INT8], scale = _in_8_bits(weight.float())
        else:
            packed[name] = weight
            continue
        if not scale.isfinite().all():
            raise ConfigurationError(f"expected finite weights to pack, below 450,000, got {name} with larger values")
        packed[name + _SCALE] = scale
    return packed


def unpack(stored: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Returns the weights of a file: packed ones in float32, and all others as they are stored.

    Args:
        stored: what `pack` returned.
        shapes: the shape of each weight of the model. Only these are unpacked.

    Raises:
        ValueError: the parts of a packed weight are incomplete, or do not have the shape or dtype that they should.
    """
    weights = dict(stored)
    for name, shape in shapes.items():
        eight, four, scale = (name + suffix for suffix in (_INT8, _INT4, _SCALE))
        if not shape:
            continue
        if name in weights and (eight in weights or four in weights):
            raise ValueError(f"expected {name} to be packed or not, got both")
        if eight in weights:
            rounded = _taken(weights, eight, torch.int8, shape)
            weights[name] = _of_8_bits(rounded, _taken(weights, scale, torch.float16, shape[:1]))
        elif four in weights:
            rows, width = shape[:-1], shape[-1]
            packed = _taken(weights, four, torch.uint8, (*rows, (width + 1) // 2))
            weights[name] = _of_4_bits(packed, _taken(weights, scale, torch.float16, (*rows, _groups(width))), width)
    return weights


def _taken(weights: dict[str, Tensor], name: str, dtype: torch.dtype, shape: Collection[int]) -> Tensor:
    """Takes a tensor out of `weights`. Raises ValueError if it is missing or has another shape or dtype."""
    part = weights.pop(name, None)
    if part is None or (part.dtype, part.shape) != (dtype, tuple(shape)):
        came = "nothing" if part is None else f"{part.dtype} {list(part.shape)}"
        raise ValueError(f"expected {name} to be {dtype} {list(shape)}, got {came}".replace("torch.", ""))
    return part


def _groups(width: int) -> int:
    """The number of groups in a row."""
    return 1 if width % _GROUP else width // _GROUP


def _in_8_bits(
    weight: Float32[Tensor, "channels *rest"],
) -> tuple[Int8[Tensor, "channels *rest"], Float16[Tensor, " channels"]]:
    largest = weight.flatten(1).abs().amax(1)
    scale = (largest / 127).half()
    above = torch.nextafter(scale, torch.full_like(scale, torch.inf))
    scale = torch.where(scale.float() * 127 < largest, above, scale).clamp_min(_LEAST)  # so that nothing is clipped
    return (weight / _by_channel(scale, weight.ndim)).round().to(torch.int8), scale


def _of_8_bits(
    rounded: Int8[Tensor, "channels *rest"], scale: Float16[Tensor, " channels"]
) -> Float32[Tensor, "channels *rest"]:
    return rounded.float().mul_(_by_channel(scale, rounded.ndim))


def _by_channel(scale: Float16[Tensor, " channels"], dimensions: int) -> Float32[Tensor, "channels *ones"]:
    return scale.float().view(-1, *[1] * (dimensions - 1))


def _in_4_bits(
    weight: Float32[Tensor, "*rows width"],
) -> tuple[UInt8[Tensor, "*rows bytes"], Float16[Tensor, "*rows groups"]]:
    width = weight.shape[-1]
    grouped = weight.unflatten(-1, (_groups(width), -1))
    largest = grouped.abs().amax(-1, keepdim=True)
    best = torch.full_like(largest, torch.inf)
    scale = largest.half()
    for factor in (*_FACTORS, *-_FACTORS):  # -8 has no counterpart, so a negative scale may fit better
        tried = (largest / 7 * factor).half()
        tried = torch.where(tried == 0, _LEAST, tried)
        error = (_multiples(grouped, tried) * tried - grouped).square().sum(-1, keepdim=True)
        scale = torch.where(error < best, tried, scale)
        best = torch.minimum(error, best)
    halves = (_multiples(grouped, scale) + 8).to(torch.uint8).flatten(-2)
    lower, upper = halves.tensor_split([(width + 1) // 2], -1)
    packed = lower.clone()
    packed[..., : upper.shape[-1]] |= upper << 4
    return packed, scale.squeeze(-1)


def _multiples(
    grouped: Float32[Tensor, "*rows values"], scale: Float16[Tensor, "*rows 1"]
) -> Float32[Tensor, "*rows values"]:
    return (grouped / scale.float()).round_().clamp_(-8, 7)


def _of_4_bits(
    packed: UInt8[Tensor, "*rows bytes"], scale: Float16[Tensor, "*rows groups"], width: int
) -> Float32[Tensor, "*rows width"]:
    weight = torch.empty(*packed.shape[:-1], width)
    lower, upper = weight.tensor_split([(width + 1) // 2], -1)
    lower.copy_((packed & 15).to(torch.int8) - 8)
    upper.copy_((packed >> 4).to(torch.int8)[..., : width // 2] - 8)
    weight.unflatten(-1, (scale.shape[-1], -1)).mul_(scale.float()[..., None])
    return weight
