"""Measures a fusion of all tasks' adapters: whole, dropped from lower layers, and pruned to its most used adapters.

Tables 6 and 7 and figure 4 of arXiv:2010.11918.
"""

import statistics
import time
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch

from experiments.adapterdrop.kept_tasks import KeptTask
from experiments.results import Row
from polyglance.adapters.bank import AdapterBank
from polyglance.adapters.composition import Composition, Drop, Fuse
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.adapters.routing import Adaptation
from polyglance.training.tasks.pruning import Keep, fusion_use, most_used
from polyglance.training.tasks.trainer import TaskSettings, train_fusion
from polyglance.types import StageProgress

KEPT = (6, 4, 2, 1)
BATCH = 64
OBSERVED = 2000
"""The number of training examples over which the use of the adapters is counted."""


def fusion_rows(
    task: KeptTask,
    adapters: Mapping[str, Adapter],
    settings: TaskSettings,
    folder: Path,
    repeats: int,
    report: StageProgress | None,
) -> Iterator[Row]:
    """Yields the score and, of some repeats, the time of a forward pass of `BATCH` examples; the validation score of
    the whole fusion.

    repeats: 0 leaves the time out, on a machine that has other work.
    """
    trained = train_fusion(
        task.train,
        task.classes,
        adapters,
        folder / task.name / f"fusion-seed{settings.seed}",
        replace(settings, depth=0),
        report=report,
    )
    whole = _bank(adapters, trained.fusion)
    names = trained.fusion.names
    systems: list[tuple[str, int, int, AdapterBank, Composition]] = [
        ("whole", 0, len(names), whole, Fuse(*names)),
        *(("dropped", n, len(names), whole, Drop(Fuse(*names), n)) for n in task.depths if n),
    ]
    use = fusion_use(task.train.states, whole, names, examples=OBSERVED)
    for count in (count for count in KEPT if count < len(names)):
        pruned = deepcopy(trained.fusion)
        pruned.keep(most_used(names, use, Keep(count)))
        systems.append(("pruned", 0, count, _bank(adapters, pruned), Fuse(*names)))
    for system, depth, kept, bank, composition in systems:
        timed = {"ms": round(_milliseconds(task, bank, composition, repeats), 2)} if repeats else {}
        splits = ("test", "val") if system == "whole" else ("test",)
        for split, score in task.scores(bank, composition, trained.head, splits).items():
            measured = {"system": system, "depth": depth, "adapters": kept, "seed": settings.seed, "split": split}
            yield task.row("fusion", **measured, score=score, **timed)


def _bank(adapters: Mapping[str, Adapter], fusion: FusionWeights) -> AdapterBank:
    bank = AdapterBank(fusion.width, fusion.layers)
    for name, adapter in adapters.items():
        bank.add(name, adapter)
    bank.add_fusion(fusion)
    return bank


def _milliseconds(task: KeptTask, bank: AdapterBank, composition: Composition, repeats: int) -> float:
    """Returns the median time of some forward passes, after a first one that does not count."""
    x, mask = task.test.states.before(0, torch.arange(min(BATCH, len(task.test.states))))
    adaptation, taken = Adaptation(bank, [composition] * len(x)), []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            started = time.perf_counter()
            task.test.states.encoder(x, mask, adaptation)
            taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken[1:])
