"""Measures each task by drop depth, for adapters trained as usual, for one depth, for any depth, and shared by layers.

Tables 2 and 5 of arXiv:2010.11918.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.adapterdrop.kept_tasks import KeptTask
from experiments.results import Row
from polyglance.adapters.composition import Drop
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.training.tasks.trainer import TASK, TaskSettings, TrainedAdapter, train_task
from polyglance.types import StageProgress

CONFIG = AdapterConfig(reduction_factor=4)
"""A bottleneck of 32 in layers 128 wide."""


@dataclass(frozen=True)
class Mode:
    """A way of training. depth: the drop depth; None draws one in each step."""

    name: str
    depth: int | None
    config: AdapterConfig = CONFIG

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.depth}" if self.name == "specialised" else self.name


def modes(specialised: Sequence[int], config: AdapterConfig = CONFIG) -> tuple[Mode, ...]:
    return (
        Mode("standard", 0, config),
        Mode("robust", None, config),
        *(Mode("specialised", depth, config) for depth in specialised),
        Mode("shared", 0, replace(config, shared=True)),
    )


def train(
    task: KeptTask, mode: Mode, settings: TaskSettings, folder: Path, report: StageProgress | None
) -> TrainedAdapter:
    """Trains an adapter, or loads it from `folder` if it was trained before."""
    return train_task(
        task.train,
        task.classes,
        folder / task.name / f"{mode.folder}-seed{settings.seed}",
        replace(settings, depth=mode.depth),
        mode.config,
        report=report,
    )


def depth_rows(task: KeptTask, mode: Mode, trained: TrainedAdapter, seed: int) -> Iterator[Row]:
    """Yields the score at each depth; for a specialised adapter, at its own depth.

    The validation split is scored at the depth that was trained for, or at 0 for a depth that was drawn.
    """
    source = TrainableAdapters({TASK: trained.adapter})
    parameters = sum(parameter.numel() for parameter in trained.adapter.parameters())
    for depth in [mode.depth or 0] if mode.name == "specialised" else task.depths:
        splits = ("test", "val") if depth == (mode.depth or 0) else ("test",)
        for split, score in task.scores(source, Drop(TASK, depth), trained.head, splits).items():
            measured = {"mode": mode.name, "depth": depth, "seed": seed, "split": split, "score": score}
            yield task.row("depths", **measured, parameters=parameters)
