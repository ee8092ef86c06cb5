"""Compares each way of computing that the encoder uses on a CPU with its alternative.

    make bench-kernels
    python -m benchmarks.kernels [--repeats 9]

Both sides compute the same (checked first) and are timed in turns. The shapes are those of a BERT of base size. The
weights of matrix products are cold, as in a model of twelve layers: each run takes the next of twelve copies.
"""

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.results import Measurements, Row
from polyglance.adapters.bank import AdapterBank
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.modules import Adapter
from polyglance.adapters.routing import Adaptation
from polyglance.kernels.attention import attention
from polyglance.kernels.grouped import Bottlenecks, Groups, bottlenecks_onto
from polyglance.kernels.linear import linear
from polyglance.kernels.processor import native_dtype
from polyglance.nn import encoder as encoders
from polyglance.nn.encoder import Encoder

WIDTH, HEADS, FEED_FORWARD, BOTTLENECK = 768, 12, 3072, 48
COPIES = 12
BLOCK_MS = 100
"""The milliseconds for which a short case runs at a time on each side."""

Work = Callable[[], Tensor]
One = TypeVar("One")


@dataclass(frozen=True)
class Comparison:
    """Two ways to compute the same. other: the name of `theirs`. gradients: whether both sides run forward and
    backward."""

    case: str
    other: str
    ours: Work
    theirs: Work
    gradients: bool = False


def comparisons(dtype: torch.dtype) -> Iterator[Comparison]:
    yield from _products(dtype)
    if dtype == torch.bfloat16:
        yield from _attention(dtype)
    yield from _groups(dtype)
    yield from _chunks(dtype)


def _products(dtype: torch.dtype) -> Iterator[Comparison]:
    maps = [nn.Linear(WIDTH, FEED_FORWARD, dtype=dtype).requires_grad_(False) for _ in range(COPIES)]
    same = copy.deepcopy(maps)  # our side too reorders weights after their `data` was read
    for rows in (128, 1024):
        x = torch.randn(rows, WIDTH, dtype=dtype)
        others: dict[str, tuple[str, Callable[[nn.Linear], Tensor]]] = {
            "product and GELU": ("torch's own", lambda one, x=x: F.gelu(one(x))),
            "weights kept in oneDNN's order": (
                "ordered in each call",
                lambda one, x=x: linear(x, one.weight.data, one.bias, "gelu"),
            ),
        }
        for case, (other, theirs) in others.items():
            ours = _in_turn(maps, lambda one, x=x: linear(x, one.weight, one.bias, "gelu"))
            yield Comparison(f"{case}, {rows} rows", other, ours, _in_turn(same, theirs))


def _in_turn(items: Sequence[One], work: Callable[[One], Tensor]) -> Work:
    turns = cycle(items)
    return lambda: work(next(turns))


def _attention(dtype: torch.dtype) -> Iterator[Comparison]:
    for rows, tokens in ((8, 32), (20, 50), (16, 64), (8, 128)):
        for gradients in (False, True):
            shape = rows, tokens, 3, HEADS, WIDTH // HEADS
            qkv = torch.randn(shape, dtype=dtype, requires_grad=gradients).permute(2, 0, 3, 1, 4).unbind()
            yield Comparison(
                f"attention, {rows} x {tokens}" + (", with gradients" if gradients else ""),
                "scaled_dot_product_attention",
                partial(_attended, attention, *qkv),
                partial(_attended, F.scaled_dot_product_attention, *qkv),
                gradients,
            )


def _attended(attend: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Returns the outputs of a token's heads concatenated, as the layer uses them next."""
    return attend(q, k, v, None).transpose(1, 2).flatten(2)


def _groups(dtype: torch.dtype) -> Iterator[Comparison]:
    shapes = ((BOTTLENECK, WIDTH), (BOTTLENECK,), (WIDTH, BOTTLENECK), (WIDTH,))
    for rows in (16, 64, 256, 1024):
        weights = Bottlenecks(*(0.02 * torch.randn(8, *shape, dtype=dtype) for shape in shapes), "relu")
        x = torch.randn(8 * rows, WIDTH, dtype=dtype)
        ends = [rows * (slot + 1) for slot in range(8)]
        yield Comparison(
            f"8 adapters, {rows} rows each",
            "grouped_mm",
            partial(bottlenecks_onto, x, weights, Groups(tuple(range(8)), tuple(ends)), x),
            partial(_grouped_mm, x, weights, torch.tensor(ends, dtype=torch.int32)),
        )


def _grouped_mm(x: Tensor, weights: Bottlenecks, ends: Tensor) -> Tensor:
    of_row = torch.arange(8).repeat_interleave(len(x) // 8)
    hidden = F.relu(F.grouped_mm(x, weights.down.mT, offs=ends) + weights.down_bias[of_row])
    return x + F.grouped_mm(hidden, weights.up.mT, offs=ends) + weights.up_bias[of_row]


def _chunks(dtype: torch.dtype) -> Iterator[Comparison]:
    body = Encoder(COPIES, WIDTH, HEADS, FEED_FORWARD, "post").to(dtype).requires_grad_(False)
    bank = AdapterBank(WIDTH, COPIES, dtype=dtype)
    for slot in range(8):
        bank.add(str(slot), Adapter(AdapterConfig(), WIDTH, COPIES))
    x, mask = torch.randn(128, 64, WIDTH, dtype=dtype), torch.ones(128, 64, dtype=torch.bool)
    adaptation = Adaptation(bank, [str(row % 8) for row in range(128)])
    yield Comparison(
        "12 layers with 8 adapters, 128 x 64, in chunks",
        "the whole batch",
        partial(_encoded, body, x, mask, adaptation, encoders.CHUNK_BYTES),
        partial(_encoded, body, x, mask, adaptation, sys.maxsize),
    )


def _encoded(body: Encoder, x: Tensor, mask: Tensor, adaptation: Adaptation, chunk: int) -> Tensor:
    before, encoders.CHUNK_BYTES = encoders.CHUNK_BYTES, chunk
    try:
        return body(x, mask, adaptation)
    finally:
        encoders.CHUNK_BYTES = before


def measure(one: Comparison, dtype: torch.dtype, repeats: int) -> Row:
    sides = [partial(_run, work, one.gradients) for work in (one.ours, one.theirs)]
    ours, theirs = (side().float() for side in sides)
    difference = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    if difference > (1e-4 if dtype == torch.float32 else 0.05):
        raise RuntimeError(f"{one.case}, {one.other}: outputs differ by {difference:.2g} of the largest")
    block = max(1, round(BLOCK_MS / _milliseconds(sides[0], 3)))
    pairs = [[_milliseconds(side, block) for side in sides] for _ in range(repeats + 1)][1:]
    own, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratios = sorted(theirs / ours for ours, theirs in pairs)
    return {
        "case": one.case,
        "other": one.other,
        "dtype": str(dtype).removeprefix("torch."),
        "ours_ms": round(own, 3),
        "other_ms": round(other, 3),
        "ratio": round(other / own, 2),
        "spread": [round(ratios[0], 2), round(ratios[-1], 2)],
    }


def _run(work: Work, gradients: bool) -> Tensor:
    with torch.inference_mode(not gradients):
        output = work()
        if gradients:
            output.sum().backward()
        return output.detach()


def _milliseconds(work: Work, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        work()
    return 1000 * (time.perf_counter() - started) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    rows = Measurements("bench_kernels", 0)
    torch.manual_seed(0)
    for dtype in dict.fromkeys((torch.float32, native_dtype())):
        for one in comparisons(dtype):
            rows.add(measure(one, dtype, arguments.repeats))


if __name__ == "__main__":
    main()
