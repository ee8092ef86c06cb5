"""Measures the time that a drop depth saves in a training step, a forward pass, and many tasks over one input.

Figure 2 and tables 3 and 4 of arXiv:2010.11918. Times are medians, with the fastest and the slowest repeat.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.adapterdrop.kept_tasks import KeptTask
from experiments.results import Row
from polyglance.adapters.bank import AdapterBank
from polyglance.adapters.composition import Composition, Drop, Parallel
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.modules import Adapter
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.kernels.processor import native_autocast, native_dtype
from polyglance.nn.encoder import Encoder

BATCH = 64


def speed_rows(task: KeptTask, repeats: int, config: AdapterConfig, at_once: Sequence[int]) -> Iterator[Row]:
    """Yields the times. The weights do not matter here: adapters are drawn at random.

    task: a classification, whose first examples are read. at_once: the numbers of tasks that read them at once.
    """
    yield from _training_rows(task, repeats, config)
    yield from _inference_rows(task, repeats, config, at_once)


def _training_rows(task: KeptTask, repeats: int, config: AdapterConfig) -> Iterator[Row]:
    states, rows = task.train.states, torch.arange(min(BATCH, len(task.train.states)))
    encoder, labels = states.encoder, task.train.labels[rows]
    layers, head = len(encoder.layers), nn.Linear(states.width, task.classes)

    def step(trained: nn.Module, start: int, composition: Composition, kept: int) -> Callable[[], None]:
        optimizer = torch.optim.AdamW([*trained.parameters(), *head.parameters()], lr=1e-6)
        x, mask = states.before(kept, rows)
        adapters = trained if isinstance(trained, TrainableAdapters) else None

        def run() -> None:
            with native_autocast(torch.device("cpu")):
                if start > kept:
                    with torch.no_grad():
                        below = encoder(x, mask, layers=range(kept, start))
                else:
                    below = x
                adaptation = Adaptation(adapters, [composition] * len(rows)) if adapters else None
                first, _ = encoder.first(below, mask, adaptation, start)
            F.cross_entropy(head(first.float()), labels).backward()
            optimizer.step()
            optimizer.zero_grad()

        return run

    encoder.requires_grad_(True)
    full = _times(step(encoder, 0, None, 0), repeats)
    encoder.requires_grad_(False)
    yield {**task.facts, "part": "training", "system": "full fine-tuning", "depth": 0, **full}
    for depth in task.depths:
        for system, kept in (("adapter", 0), ("adapter, states kept", depth)):
            source = TrainableAdapters({"a": Adapter(config, states.width, layers)})
            taken = _times(step(source, depth, Drop("a", depth), kept), repeats)
            share = round(taken["ms"] / full["ms"], 3)
            yield {**task.facts, "part": "training", "system": system, "depth": depth, **taken, "of_full": share}


def _inference_rows(task: KeptTask, repeats: int, config: AdapterConfig, at_once: Sequence[int]) -> Iterator[Row]:
    states = task.test.states
    x, mask = states.before(0, torch.arange(min(BATCH, len(states))))
    dtype = native_dtype()
    x, encoder, layers = x.to(dtype), deepcopy(states.encoder).to(dtype), len(states.encoder.layers)
    bank = AdapterBank(states.width, layers, dtype=dtype)
    names = [f"task{number}" for number in range(max(at_once))]
    for name in names:
        bank.add(name, Adapter(config, states.width, layers))
    plain = _times(_forward(encoder, x, mask, None), repeats)
    yield {**task.facts, "part": "inference", "tasks": 1, "system": "full fine-tuning", "depth": 0, **plain}
    for tasks in at_once:
        undropped = 0.0
        for depth in task.depths:
            composition = Drop(Parallel(*names[:tasks]), depth)
            taken = _times(_forward(encoder, x, mask, Adaptation(bank, [composition] * len(x))), repeats)
            undropped = undropped or taken["ms"]
            yield {
                **task.facts,
                "part": "inference",
                "tasks": tasks,
                "system": "adapters",
                "depth": depth,
                **taken,
                "saved": round(1 - taken["ms"] / undropped, 3),
                "saved_by_count": round((tasks - 1) * depth / (1 + (layers - 1) * tasks), 3),
            }


def _forward(encoder: Encoder, x: Tensor, mask: Tensor, adaptation: Adaptation | None) -> Callable[[], object]:
    def run() -> Tensor:
        with torch.inference_mode():
            states: Tensor = encoder(x, mask, adaptation)
            return states

    return run


def _times(work: Callable[[], object], repeats: int) -> dict[str, float]:
    """Returns milliseconds: the median, the fastest and the slowest run, without the first two."""
    taken = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started))
    taken = sorted(taken[2:])
    return {"ms": round(statistics.median(taken), 2), "fastest": round(taken[0], 2), "slowest": round(taken[-1], 2)}
