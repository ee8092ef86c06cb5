"""Measures the tables of AdapterDrop (arXiv:2010.11918) on the scene world and on real sentences.

    python -m experiments.adapterdrop [--tasks scenes|verify,...] [--parts depths,fusion,speeds]
    python -m experiments.adapterdrop --tasks text [--parts choice,depths,full,fusion,library,speeds]
                                      [--bodies all-MiniLM-L6-v2,...] [--data FOLDER]
                                      [--examples N]
    both: [--seeds 0,1,2] [--specialised 1,2,...] [--epochs N] [--repeats N] [--folder FOLDER] [--fresh] [--small]

Scenes: a body is pre-trained without the tasks; then eight tasks are trained as adapters in it. Text: eight tasks are
trained as adapters in published text encoders, which `python -m experiments.weights` fetches. Each figure is a row of
docs/results/adapterdrop.json or adapterdrop_text.json, written as soon as it is measured: a run that was stopped
continues with the missing rows. `speeds` should run on an otherwise idle machine.
"""

import argparse
from pathlib import Path

from experiments.adapterdrop.bodies import keep_task
from experiments.adapterdrop.depths import CONFIG, modes
from experiments.adapterdrop.measuring import run_depths, run_fusions, run_speeds
from experiments.adapterdrop.pictures import read_pictures
from experiments.adapterdrop.plots import draw
from experiments.adapterdrop.pretraining import pretrained_body
from experiments.adapterdrop.settings import SMALL, Settings
from experiments.adapterdrop.tables import tables
from experiments.adapterdrop.tasks import TASKS, task_data
from experiments.adapterdrop.text_run import BODIES, run_text
from experiments.results import add_arguments, begin, images_of, open_folder, report
from polyglance.training.tasks.trainer import TaskSettings

NAME = "adapterdrop"
KEYS = ("part", "task", "mode", "system", "depth", "seed", "adapters", "tasks")
FUSED = ("compare", "logical", "count")
"""The tasks that a fusion of all eight adapters is trained for."""
AT_ONCE = (1, 2, 4, 8, 16)
"""The numbers of tasks that are timed on one input."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="scenes", help="scenes, text, or names of scene tasks [default: scenes]")
    parser.add_argument("--parts", default="depths,full,fusion,library,speeds", help="[default: %(default)s]")
    parser.add_argument("--seeds", help="[default: 0,1,2; 0,1 in multilingual-e5-small]")
    parser.add_argument("--specialised", help="drop depths of specialised adapters [default: all that are measured]")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--repeats", type=int, default=9, help="of each timed pass")
    parser.add_argument("--bodies", default=",".join(BODIES), help="of text: names or folders [default: %(default)s]")
    parser.add_argument("--examples", type=int, help="of text: the most training examples of a task [default: 2000]")
    parser.add_argument("--data", type=Path, help="of text [default: ../shared/data/text_tasks]")
    add_arguments(parser, NAME)
    arguments = parser.parse_args()
    if arguments.tasks == "text":
        run_text(arguments)
    else:
        run_scenes(arguments)


def run_scenes(arguments: argparse.Namespace) -> None:
    settings = SMALL if arguments.small else Settings()
    folder, results = begin(NAME, arguments, KEYS)
    open_folder(folder, settings)
    pictures = read_pictures(settings, folder, report)
    body = pretrained_body(settings, pictures, folder, report)
    data = task_data(settings, pictures, body.tokenizer, folder)
    names = TASKS if arguments.tasks == "scenes" else arguments.tasks.split(",")
    tasks = [keep_task(body, pictures, data[name], folder / "states") for name in names]
    for task in tasks:
        if not results.has(part="control", task=task.name):
            results.add([{"part": "control", "task": task.name, "commonest": round(data[task.name].commonest, 2)}])
    parts = arguments.parts.split(",")
    specialised = list(map(int, arguments.specialised.split(","))) if arguments.specialised else tasks[0].depths[1:]
    ways = modes(specialised)
    for seed in map(int, (arguments.seeds or "0,1,2").split(",")):
        training = TaskSettings(epochs=arguments.epochs or 3, batch=64, learning_rate=2e-3, seed=seed)
        if "depths" in parts:
            for task in tasks:
                run_depths(task, ways, training, folder / "tasks", results)
        if "fusion" in parts:
            targets = [task for task in tasks if task.name in FUSED]
            run_fusions(tasks, targets, ways[0], training, folder / "tasks", results, arguments.repeats)
    if "speeds" in parts:
        run_speeds(tasks[0], CONFIG, AT_ONCE, results, arguments.repeats)
    print(tables(results.rows))
    draw(results.rows, images_of(results))


if __name__ == "__main__":
    main()
