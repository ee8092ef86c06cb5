"""Many small bottlenecks applied to one batch with rows sorted by bottleneck."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from polyglance.kernels.linear import Activation, activate, linear, linear_onto

FEW_ROWS = 64
"""The most rows per bottleneck for which one batched product is faster than one product per bottleneck."""


@dataclass(frozen=True, eq=False)
class Bottlenecks:
    """The weights of bottlenecks of one shape, stacked by slot."""

    down: Float[Tensor, "slots bottleneck width"]
    down_bias: Float[Tensor, "slots bottleneck"]
    up: Float[Tensor, "slots width bottleneck"]
    up_bias: Float[Tensor, "slots width"]
    activation: Activation


@dataclass(frozen=True)
class Groups:
    """The rows of each bottleneck: rows ends[i - 1] to ends[i] - 1 go through slot slots[i]."""

    slots: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The first row of each group and the row after its last one."""
        return tuple(pairwise((0, *self.ends)))

    @property
    def equal_rows(self) -> int:
        """The number of rows of each group, 0 if it differs."""
        counts = {end - start for start, end in self.spans}
        return counts.pop() if len(counts) == 1 else 0


def bottlenecks_onto(
    x: Float[Tensor, "rows width"], weights: Bottlenecks, groups: Groups, onto: Float[Tensor, "rows width"]
) -> Float[Tensor, "rows width"]:
    """Returns onto + up activation(down x + down_bias) + up_bias, for each row with the weights of its group."""
    if len(groups.slots) == 1:
        return bottleneck_onto(x, weights, groups.slots[0], onto)
    if x.device.type == "cuda" and not torch.is_grad_enabled():
        return _grouped(x, weights, groups, onto)
    if 0 < groups.equal_rows <= FEW_ROWS:
        return _batched(x, weights, groups, onto)
    parts = [
        bottleneck_onto(x[start:end], weights, slot, onto[start:end])
        for slot, (start, end) in zip(groups.slots, groups.spans, strict=True)
    ]
    return torch.cat(parts)


def bottleneck_onto(x: Tensor, weights: Bottlenecks, slot: int, onto: Tensor) -> Tensor:
    """Returns onto + up activation(down x + down_bias) + up_bias, with the weights of one slot."""
    hidden = linear(x, weights.down[slot], weights.down_bias[slot], weights.activation)
    return linear_onto(hidden, weights.up[slot], weights.up_bias[slot], onto)


def _batched(x: Tensor, weights: Bottlenecks, groups: Groups, onto: Tensor) -> Tensor:
    """Computes groups with equally many rows by batched products."""
    down, down_bias, up, up_bias = _of_groups(weights, groups)
    rows = x.view(len(groups.slots), -1, x.shape[1])
    hidden = activate(torch.baddbmm(down_bias[:, None], rows, down.mT), weights.activation)
    return onto + torch.baddbmm(up_bias[:, None], hidden, up.mT).view_as(onto)


def _grouped(x: Tensor, weights: Bottlenecks, groups: Groups, onto: Tensor) -> Tensor:
    down, down_bias, up, up_bias = _of_groups(weights, groups)
    ends = torch.tensor(groups.ends, device=x.device, dtype=torch.int32)
    of_row = torch.bucketize(torch.arange(len(x), device=x.device, dtype=torch.int32), ends, right=True)
    hidden = activate(F.grouped_mm(x, down.mT, offs=ends) + down_bias[of_row], weights.activation)
    return onto + F.grouped_mm(hidden, up.mT, offs=ends) + up_bias[of_row]


def _of_groups(weights: Bottlenecks, groups: Groups) -> tuple[Tensor, ...]:
    """Returns the weights in the order of the groups, without a copy if the slots are consecutive."""
    first, count = groups.slots[0], len(groups.slots)
    run = groups.slots == tuple(range(first, first + count))
    selected: slice | list[int] = slice(first, first + count) if run else list(groups.slots)
    return tuple(w[selected] for w in (weights.down, weights.down_bias, weights.up, weights.up_bias))
