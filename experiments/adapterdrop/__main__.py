"""Measures the tables of AdapterDrop (arXiv:2010.11918) on the scene world.

    python -m experiments.adapterdrop [--parts depths,fusion,speeds] [--tasks verify,...] [--seeds 0,1,2]
                                      [--specialised 1,2,...] [--epochs N] [--folder FOLDER] [--fresh] [--small]

A body is pre-trained without the tasks; then eight tasks are trained as adapters in it. Each figure is a row of
docs/results/adapterdrop.json, written as soon as it is measured: a run that was stopped continues with the missing
rows. `speeds` should run on an otherwise idle machine.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from experiments.adapterdrop.bodies import KeptTask, keep_task
from experiments.adapterdrop.depths import Mode, depth_rows, modes, train
from experiments.adapterdrop.fusions import fusion_rows
from experiments.adapterdrop.pictures import read_pictures
from experiments.adapterdrop.plots import draw
from experiments.adapterdrop.pretraining import pretrained_body
from experiments.adapterdrop.settings import SMALL, Settings
from experiments.adapterdrop.speeds import speed_rows
from experiments.adapterdrop.tables import tables
from experiments.adapterdrop.tasks import TASKS, task_data
from experiments.results import Results, add_arguments, begin, images_of, open_folder, report
from polyglance.training.tasks.trainer import TaskSettings

NAME = "adapterdrop"
KEYS = ("part", "task", "mode", "system", "depth", "seed", "adapters", "tasks")
FUSED = ("compare", "logical", "count")
"""The tasks that a fusion of all eight adapters is trained for."""


def run_depths(task: KeptTask, some: Sequence[Mode], settings: TaskSettings, folder: Path, results: Results) -> None:
    for mode in some:
        depth = mode.depth or 0
        if not results.has(part="depths", task=task.name, mode=mode.name, depth=depth, seed=settings.seed):
            trained = train(task, mode, settings, folder, report)
            results.add(depth_rows(task, mode, trained, settings.seed))


def run_fusions(
    tasks: Sequence[KeptTask], settings: TaskSettings, folder: Path, results: Results, repeats: int
) -> None:
    standard = modes(())[0]
    adapters = {task.name: train(task, standard, settings, folder, report).adapter for task in tasks}
    for task in tasks:
        if task.name in FUSED and not results.has(part="fusion", task=task.name, seed=settings.seed):
            results.add(fusion_rows(task, adapters, settings, folder, repeats, report))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="depths,fusion,speeds")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--specialised", default="1,2,3,4,5,6,7")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=9)
    add_arguments(parser, NAME)
    arguments = parser.parse_args()
    settings = SMALL if arguments.small else Settings()
    folder, results = begin(NAME, arguments, KEYS)
    open_folder(folder, settings)
    pictures = read_pictures(settings, folder, report)
    body = pretrained_body(settings, pictures, folder, report)
    data = task_data(settings, pictures, body.tokenizer, folder)
    tasks = [keep_task(body, pictures, data[name], folder / "states") for name in arguments.tasks.split(",")]
    for task in tasks:
        if not results.has(part="control", task=task.name):
            results.add([{"part": "control", "task": task.name, "commonest": round(data[task.name].commonest, 2)}])
    parts = arguments.parts.split(",")
    specialised = [int(depth) for depth in arguments.specialised.split(",") if depth]
    layers = len(body.encoder.layers)
    for seed in map(int, arguments.seeds.split(",")):
        chosen = TaskSettings(epochs=arguments.epochs, batch=64, learning_rate=2e-3, seed=seed)
        if "depths" in parts:
            for task in tasks:
                some = modes([depth for depth in specialised if depth < layers])
                run_depths(task, some, chosen, folder / "tasks", results)
        if "fusion" in parts:
            run_fusions(tasks, chosen, folder / "tasks", results, arguments.repeats)
    if "speeds" in parts:
        rows = list(speed_rows(tasks[0], arguments.repeats))
        for part in ("training", "inference"):
            results.replace(part, [row for row in rows if row["part"] == part])
    print(tables(results.rows))
    draw(results.rows, images_of(results))


if __name__ == "__main__":
    main()
