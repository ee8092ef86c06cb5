"""The commands that train on a user's own questions: a task, a fusion of tasks."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli.options import Json
from polyglance.cli.output import console, one_line, print_json, stages, table

if TYPE_CHECKING:
    from polyglance.training.question_tasks import QuestionReport
    from polyglance.training.task import TaskSettings

app = typer.Typer(help="Train a frozen model's tasks on your own questions.", no_args_is_help=True)

Questions = Annotated[
    Path,
    typer.Argument(metavar="QUESTIONS", help="JSON Lines with image, question, answer, language, split."),
]
Output = Annotated[Path, typer.Option(metavar="DIR", help="Where the trained task is put; made when it is missing.")]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="What to call it. [default: the name of DIR]")]
Depth = Annotated[
    str,
    typer.Option(
        metavar="N|robust",
        help="Layers without adapters: the lowest N of the model's joint layers; or robust, to serve any number.",
    ),
]
Epochs = Annotated[int, typer.Option(min=1, metavar="N", help="How often each question is seen.")]
Rate = Annotated[float, typer.Option(min=0, metavar="RATE", help="How far a step goes.")]
Seed = Annotated[int, typer.Option(min=0, metavar="S", help="Seed of the weights and of the order.")]
TaskFolders = Annotated[list[Path], typer.Option(metavar="DIR", help="A task to fuse; name it once for each.")]


@app.command()
def task(
    questions: Questions,
    output: Output,
    model: Annotated[str, typer.Option(metavar="NAME", help="A model's name or folder.")] = "scenes-mini",
    name: Name = None,
    depth: Depth = "0",
    epochs: Epochs = 10,
    learning_rate: Rate = 1e-3,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train an adapter with a head of its own on the questions of the split train.

    Questions of the splits val and test tell how good it is. The model stays as it is; ask the task with
    `polyglance ask --task DIR`. The same command goes on with a run that was stopped.

    \b
    Example:
      polyglance train task my-questions.jsonl --output tasks/colours --depth 2
    """
    from polyglance.data.questions import read_questions
    from polyglance.models import load_model, source_of
    from polyglance.training.question_tasks import train_question_task

    settings = task_settings(depth, epochs, learning_rate, seed)
    asked = read_questions(questions)
    loaded = load_model(model)
    with stages() as report:
        done = train_question_task(
            loaded, source_of(model), asked, output, name or output.resolve().name, settings, report
        )
    show(done, output, as_json)


@app.command()
def fusion(
    questions: Questions,
    task: TaskFolders,
    output: Output,
    name: Name = None,
    depth: Depth = "0",
    epochs: Epochs = 10,
    learning_rate: Rate = 1e-3,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a fusion of trained tasks, with a head of its own, on the questions of the split train.

    \b
    Example:
      polyglance train fusion my-questions.jsonl --task tasks/colours --task tasks/counts --output tasks/both
    """
    from polyglance.data.questions import read_questions
    from polyglance.models import load_model
    from polyglance.models.tasks import load_task
    from polyglance.training.question_tasks import train_question_fusion

    settings = task_settings(depth, epochs, learning_rate, seed)
    asked = read_questions(questions)
    tasks = [load_task(folder) for folder in task]
    source = tasks[0].model
    loaded = load_model(source)
    with stages() as report:
        done = train_question_fusion(
            loaded, source, asked, tasks, output, name or output.resolve().name, settings, report
        )
    show(done, output, as_json)


def task_settings(depth: str, epochs: int, learning_rate: float, seed: int) -> "TaskSettings":
    from polyglance.training.task import TaskSettings

    if depth != "robust" and not depth.isdecimal():
        raise typer.BadParameter(f"expected --depth to be a number of layers or robust, got {depth!r}")
    return TaskSettings(None if depth == "robust" else int(depth), epochs, learning_rate=learning_rate, seed=seed)


def show(done: "QuestionReport", folder: Path, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(folder), **asdict(done)})
        return
    output = console()
    numbers = ["questions", "accuracy", "commonest answer"]
    scores = table("split", *numbers, numbers=numbers)
    for split, score in done.scores.items():
        scores.add_row(
            split, f"{score['questions']:,}", f"{score['accuracy']:.1f} %", f"{score['most_frequent']:.1f} %"
        )
    if done.scores:
        output.print(scores)
    if done.depths:
        numbers = ["layers without adapters", "accuracy", "ms a question"]
        depths = table(*numbers, numbers=numbers)
        for one in done.depths:
            depths.add_row(str(one.depth), f"{one.quality:.1f} %", f"{one.milliseconds:.2f}")
        output.print(depths)
    trained, megabytes = done.training, done.training.kept_bytes / 1e6
    output.print(
        f"{done.name}: {done.questions:,} questions, {len(done.labels):,} answers, loss {trained.losses[-1]:.3f}; "
        f"the task is in {one_line(str(folder))}",
        soft_wrap=True,
    )
    output.print(
        f"an epoch took {trained.epoch_seconds:.1f} s on kept states ({megabytes:.1f} MB), which spared it reading and "
        f"{trained.layers_spared:g} layers: {trained.keep_seconds:.1f} s",
        style="dim",
        soft_wrap=True,
    )
