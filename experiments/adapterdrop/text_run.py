"""Measures the text tasks in published text encoders; the rows go to docs/results/adapterdrop_text.json."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch

from experiments.adapterdrop.depths import Mode, modes, train
from experiments.adapterdrop.full_fine_tuning import fine_tuned
from experiments.adapterdrop.kept_tasks import KeptTask
from experiments.adapterdrop.library import library_rows
from experiments.adapterdrop.measuring import run_depths, run_fusions, run_speeds
from experiments.adapterdrop.tables import text_tables
from experiments.adapterdrop.text_tasks import NAMES, PairTokenizer, TextTask, text_task
from experiments.editions.collections import shared_data
from experiments.results import Results, begin, open_folder, report
from experiments.weights.folders import weights_folder
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.models.families.text_encoder import TextEncoder, load_text_encoder
from polyglance.training.tasks.trainer import TASK, TaskSettings

NAME: Final = "adapterdrop_text"
KEYS: Final = ("body", "part", "task", "mode", "system", "depth", "seed", "adapters", "tasks", "split", "rate")
FUSED: Final = ("rte", "mrpc", "sts", "cola")
"""The tasks that a fusion of all eight adapters is trained for: the three smallest, and one of grammar."""
TIMED: Final = "sst2"
"""The task whose sentences are timed."""
AT_ONCE: Final = (1, 8)
SHORT: Final = ("cola", "sts", "trec")
"""Tasks with few and short texts, one for each measure: for the choice of learning rates, and for the comparison with
the adapters library."""
RATES: Final = {"standard": (3e-4, 1e-3, 3e-3, 1e-2), "full fine-tuning": (3e-5, 1e-4, 3e-4)}
"""The learning rates to choose from."""


@dataclass(frozen=True)
class TextSettings:
    """How the tasks are trained in one body. The validation splits alone serve the choice of learning rates (`--parts
    choice`); the other settings follow from the time that there is.

    examples: the most training examples of a task. held_out: the most validation and the most test examples; it cuts
    the test split of sick_nli alone. depths: where states are kept and drops are measured; None means each layer.
    full_learning_rate: of full fine-tuning. max_tokens: of a text or a pair. reduction_factor: of the adapters.
    """

    examples: int = 2000
    held_out: int = 2000
    depths: tuple[int, ...] | None = None
    epochs: int = 4
    batch: int = 16
    learning_rate: float = 1e-3
    full_learning_rate: float = 1e-4
    max_tokens: int = 128
    reduction_factor: float = 8

    def training(self, seed: int) -> TaskSettings:
        return TaskSettings(epochs=self.epochs, batch=self.batch, learning_rate=self.learning_rate, seed=seed)

    @property
    def limits(self) -> Mapping[str, int]:
        return {"train": self.examples, "val": self.held_out, "test": self.held_out}


BODIES: Final[Mapping[str, tuple[TextSettings, str]]] = {
    "all-MiniLM-L6-v2": (TextSettings(learning_rate=3e-3), "0,1,2"),
    "multilingual-e5-small": (TextSettings(depths=(0, 3, 5, 8, 10)), "0,1"),
}
"""The settings and the seeds of each body."""


def run_text(arguments: argparse.Namespace) -> None:
    """Measures what is missing, body by body. arguments: those of `python -m experiments.adapterdrop`."""
    folder, results = begin(NAME, arguments, KEYS)
    for name in arguments.bodies.split(","):
        settings, seeds = BODIES.get(name, (TextSettings(), "0,1,2"))
        if arguments.small:
            settings = replace(settings, examples=24, held_out=12, epochs=1)
        settings = replace(
            settings,
            examples=arguments.examples or settings.examples,
            epochs=arguments.epochs or settings.epochs,
        )
        measure_body(name, settings, list(map(int, (arguments.seeds or seeds).split(","))), arguments, folder, results)
    print(text_tables(results.rows))


def measure_body(
    name: str,
    settings: TextSettings,
    seeds: Sequence[int],
    arguments: argparse.Namespace,
    folder: Path,
    results: Results,
) -> None:
    """Measures the tasks in a body. name: of weights that were fetched, or a folder with a text encoder."""
    path = Path(name) if Path(name).is_dir() else weights_folder(name)
    folder = folder / path.name
    open_folder(folder, replace(settings, learning_rate=0, full_learning_rate=0))  # each rate has its own folders
    body = load_text_encoder(path, torch.float32).requires_grad_(False)
    tokenizer = PairTokenizer(path, settings.max_tokens)
    data = arguments.data or shared_data() / "text_tasks"
    texts = [text_task(task, data, body, tokenizer, settings.limits) for task in NAMES]
    facts = {"body": path.name}
    depths = settings.depths or range(len(body.encoder.layers))
    tasks = [task.keep(depths, folder / "states", facts) for task in texts]
    add_controls(texts, tasks, results)
    config = AdapterConfig(reduction_factor=settings.reduction_factor)
    specialised = list(map(int, arguments.specialised.split(","))) if arguments.specialised else tasks[0].depths[1:]
    ways = modes(specialised, config)
    parts = arguments.parts.split(",")
    short = [(text, task) for text, task in zip(texts, tasks, strict=True) if task.name in SHORT]
    if "choice" in parts:
        for text, task in short:
            run_choice(text, task, ways[0], body, settings.training(seeds[0]), folder, results)
    for seed in seeds:
        training = settings.training(seed)
        full = replace(training, learning_rate=settings.full_learning_rate)
        for text, task in zip(texts, tasks, strict=True):
            if "depths" in parts:
                run_depths(task, ways, training, _trained(folder, training), results)
            if "full" in parts:
                run_full(text, task, body, full, folder, results)
        if "fusion" in parts:
            targets = [task for task in tasks if task.name in FUSED]
            run_fusions(tasks, targets, ways[0], training, _trained(folder, training), results, repeats=0)
    if "library" in parts:
        run_library(short, ways[0], path, settings.training(seeds[0]), folder, results)
    if "speeds" in parts:
        timed = next(task for task in tasks if task.name == TIMED)
        run_speeds(timed, config, AT_ONCE, results, arguments.repeats)


def _trained(folder: Path, training: TaskSettings) -> Path:
    """Returns the folder for what is trained with a learning rate."""
    return folder / "tasks" / f"{training.learning_rate:g}"


def run_choice(
    text: TextTask,
    task: KeptTask,
    standard: Mode,
    body: TextEncoder,
    training: TaskSettings,
    folder: Path,
    results: Results,
) -> None:
    """Measures the learning rates on the validation split."""
    for mode, rates in RATES.items():
        for rate in rates:
            named = task.row("choice", mode=mode, rate=rate, seed=training.seed, split="val")
            if results.has(**named):
                continue
            settings = replace(training, learning_rate=rate)
            if mode == "standard":
                trained = train(task, standard, settings, _trained(folder, settings), report)
                source = TrainableAdapters({TASK: trained.adapter})
                score = task.scores(source, TASK, trained.head, ("val",))["val"]
            else:
                score = fine_tuned(text, body, settings, folder / "full", report, ("val",))["val"]
            results.add([{**named, "score": score}])


def run_library(
    tasks: Sequence[tuple[TextTask, KeptTask]],
    standard: Mode,
    path: Path,
    training: TaskSettings,
    folder: Path,
    results: Results,
) -> None:
    """Scores standard adapters in the adapters library. path: of the body."""
    named = {task.name: task.row("library", seed=training.seed) for _, task in tasks}
    if all(results.has(**row) for row in named.values()):
        return
    trained = [train(task, standard, training, _trained(folder, training), report) for _, task in tasks]
    scores = library_rows([text for text, _ in tasks], trained, path)
    results.add({**row, **score} for row, score in zip(named.values(), scores, strict=True))


def add_controls(texts: Sequence[TextTask], tasks: Sequence[KeptTask], results: Results) -> None:
    """Adds what a task consists of, and the score of its most frequent label."""
    for text, task in zip(texts, tasks, strict=True):
        sizes = {split: len(part.labels) for split, part in text.parts.items()}
        row = task.row("control", metric=text.metric, commonest=text.commonest, examples=sizes, left_out=text.left_out)
        if not results.has(**row):
            results.add([row])


def run_full(
    text: TextTask, task: KeptTask, body: TextEncoder, settings: TaskSettings, folder: Path, results: Results
) -> None:
    named = task.row("depths", mode="full fine-tuning", depth=0, seed=settings.seed)
    if not results.has(**named):
        parameters = sum(parameter.numel() for parameter in body.parameters())
        scores = fine_tuned(text, body, settings, folder / "full", report)
        results.add(
            {**named, "split": split, "score": score, "parameters": parameters} for split, score in scores.items()
        )
