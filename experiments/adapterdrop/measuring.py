"""Measures the rows that are missing, for scene tasks and for text tasks alike."""

from collections.abc import Sequence
from pathlib import Path

from experiments.adapterdrop.depths import Mode, depth_rows, train
from experiments.adapterdrop.fusions import fusion_rows
from experiments.adapterdrop.kept_tasks import KeptTask
from experiments.adapterdrop.speeds import speed_rows
from experiments.results import Results, report
from polyglance.adapters.config import AdapterConfig
from polyglance.training.tasks.trainer import TaskSettings


def run_depths(task: KeptTask, some: Sequence[Mode], settings: TaskSettings, folder: Path, results: Results) -> None:
    for mode in some:
        named = task.row("depths", mode=mode.name, depth=mode.depth or 0, seed=settings.seed)
        if not results.has(**named):
            results.add(depth_rows(task, mode, train(task, mode, settings, folder, report), settings.seed))


def run_fusions(
    tasks: Sequence[KeptTask],
    targets: Sequence[KeptTask],
    standard: Mode,
    settings: TaskSettings,
    folder: Path,
    results: Results,
    repeats: int,
) -> None:
    """Measures a fusion of the standard adapters of all tasks for each target."""
    missing = [task for task in targets if not results.has(**task.row("fusion", seed=settings.seed))]
    if missing:
        adapters = {task.name: train(task, standard, settings, folder, report).adapter for task in tasks}
        for task in missing:
            results.add(fusion_rows(task, adapters, settings, folder, repeats, report))


def run_speeds(task: KeptTask, config: AdapterConfig, at_once: Sequence[int], results: Results, repeats: int) -> None:
    if not results.has(**task.facts, part="inference"):
        results.add(speed_rows(task, repeats, config, at_once))
