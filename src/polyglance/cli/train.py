"""The commands that train on a user's own data: a task, a fusion of tasks, a model for retrieval."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from polyglance.cli.options import Json, Precision, Seed, chosen_precision
from polyglance.cli.output import console, one_line, print_json, stages, table, warn, warn_skipped
from polyglance.cli.train_language import language
from polyglance.cli.train_vqa import vqa
from polyglance.models import BUNDLED

if TYPE_CHECKING:
    from polyglance.data.captions import Caption
    from polyglance.evaluation.systems import Evaluation
    from polyglance.models.families.cut_model import CutModel
    from polyglance.training.retrieval.objectives import Mode
    from polyglance.training.retrieval.trainer import RetrievalReport
    from polyglance.training.tasks.questions import QuestionReport
    from polyglance.training.tasks.trainer import TaskSettings
    from polyglance.types import StageProgress

app = typer.Typer(
    help="Train tasks or a model on your own questions, a model on captions, or a language.", no_args_is_help=True
)
app.command()(language)
app.command()(vqa)

Questions = Annotated[
    Path,
    typer.Argument(metavar="QUESTIONS", help="JSON Lines with image, question, answer, language, split."),
]
Output = Annotated[Path, typer.Option(metavar="DIR", help="Output folder of the trained task; created if missing.")]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="Name of the task. [default: the name of DIR]")]
DropDepth = Annotated[
    str,
    typer.Option(
        metavar="N|robust",
        help="Leave the lowest N joint layers without adapters; robust: train for any N, to choose when asking.",
    ),
]
Epochs = Annotated[int, typer.Option(min=1, metavar="N", help="Number of passes over the questions.")]
Rate = Annotated[float, typer.Option(min=0, metavar="RATE", help="Learning rate.")]
TaskFolders = Annotated[list[Path], typer.Option(metavar="DIR", help="A task to fuse; repeat the option for each.")]


@app.command()
def task(
    questions: Questions,
    output: Output,
    model: Annotated[str, typer.Option(metavar="NAME", help="A model's name or folder.")] = BUNDLED,
    name: Name = None,
    drop_depth: DropDepth = "0",
    epochs: Epochs = 10,
    learning_rate: Rate = 1e-3,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train an adapter and a head on the questions of the split train.

    The questions of the splits val and test measure the task. The model does not change. Ask the task with
    `polyglance ask --task DIR`. Run the same command again to resume a stopped run.

    \b
    Example:
      polyglance train task my-questions.jsonl --output tasks/colours --drop-depth 2
    """
    from polyglance.data.questions import read_questions
    from polyglance.models import load_single_stream
    from polyglance.training.tasks.questions import train_question_task

    settings = task_settings(drop_depth, epochs, learning_rate, seed)
    asked = read_questions(questions)
    loaded = load_single_stream(model)
    with stages() as report:
        done = train_question_task(
            loaded, loaded.source or model, asked, output, name or output.resolve().name, settings, report
        )
    show(done, output, as_json)


@app.command()
def fusion(
    questions: Questions,
    task: TaskFolders,
    output: Output,
    name: Name = None,
    drop_depth: DropDepth = "0",
    epochs: Epochs = 10,
    learning_rate: Rate = 1e-3,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a fusion of trained tasks and a head on the questions of the split train.

    \b
    Example:
      polyglance train fusion my-questions.jsonl --task tasks/colours --task tasks/counts --output tasks/both
    """
    from polyglance.data.questions import read_questions
    from polyglance.models import load_single_stream
    from polyglance.models.tasks import load_task
    from polyglance.training.tasks.questions import train_question_fusion

    settings = task_settings(drop_depth, epochs, learning_rate, seed)
    asked = read_questions(questions)
    tasks = [load_task(folder) for folder in task]
    source = tasks[0].model
    loaded = load_single_stream(source)
    with stages() as report:
        done = train_question_fusion(
            loaded, source, asked, tasks, output, name or output.resolve().name, settings, report
        )
    show(done, output, as_json)


@app.command()
def retrieval(
    data: Annotated[Path, typer.Option(metavar="PATH", help="Captions: a file or a folder, in any form that is read.")],
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of the trained model; created if missing.")
    ],
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of the pictures. [default: the folder of the captions]"),
    ] = None,
    model: Annotated[str, typer.Option(metavar="NAME", help="The model to start from: a name or a folder.")] = BUNDLED,
    mode: Annotated[
        Literal["twin", "cross", "joint"], typer.Option(help="Train the twin encoder, the cross-encoder, or both.")
    ] = "joint",
    twin_loss: Annotated[
        Literal["info_nce", "sigmoid", "triplet"], typer.Option(help="Loss of the twin encoder.")
    ] = "info_nce",
    match_loss: Annotated[
        Literal["hard", "binary"],
        typer.Option(help="Loss of the cross-encoder: hard negatives, or one random negative."),
    ] = "hard",
    adapters: Annotated[
        bool, typer.Option("--adapters", help="Train only adapters and heads; freeze the rest.")
    ] = False,
    drop_depth: Annotated[
        int, typer.Option(min=0, metavar="N", help="Leave the lowest N joint layers without new adapters.")
    ] = 0,
    freeze_lower: Annotated[
        bool, typer.Option("--freeze-lower", help="Freeze the layers below the cut, and read the pictures only once.")
    ] = False,
    mine: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Mine the wrong pictures that each caption finds every N epochs; 0: never."
        ),
    ] = 0,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|self",
            help="Learn from a model's cross-encoder; self: the twin encoder learns from its own model's.",
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, metavar="N", help="Number of passes over the captions.")] = 5,
    batch: Annotated[
        int, typer.Option(min=2, metavar="N", help="Captions in a batch, which are contrasted with each other.")
    ] = 64,
    accumulate: Annotated[int, typer.Option(min=1, metavar="N", help="Batches per step.")] = 1,
    precision: Precision = None,
    learning_rate: Rate = 1e-4,
    patience: Annotated[
        int, typer.Option(min=0, metavar="N", help="Stop after N epochs without a better validation; 0: never.")
    ] = 3,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a model for retrieval on the captions of the split train.

    After each epoch, the captions of the split val measure the model, if there are any, and the best model is kept.
    Pictures that cannot be read are named and skipped. Run the same command again to resume a stopped run. Use the
    model with `polyglance index --model DIR`.

    \b
    Example:
      polyglance train retrieval --data captions.jsonl --output my-model --mode joint
    """
    from polyglance.data.captions import of_split, read_captions
    from polyglance.models import load_trainable
    from polyglance.models.checkpoint import save_model
    from polyglance.training.curves import try_plot_losses
    from polyglance.training.devices import is_first_process
    from polyglance.training.retrieval.objectives import RetrievalSettings
    from polyglance.training.retrieval.trainer import STAGE, train_retrieval

    settings = RetrievalSettings(
        mode=mode,
        twin_loss=twin_loss,
        match_loss=match_loss,
        adapters=adapters,
        depth=drop_depth,
        freeze_lower=freeze_lower,
        mine=mine,
        distil=teacher == "self",
        epochs=epochs,
        batch=batch,
        accumulate=accumulate,
        precision=chosen_precision(precision),
        learning_rate=learning_rate,
        patience=patience,
        seed=seed,
    )
    captions = read_captions(data, images)
    trained_on, held_out = of_split(captions, "train"), [one for one in captions if one.split == "val"]
    loaded = load_trainable(model)
    folder = output / "training"
    with stages() as report:
        validation = Validation(held_out, settings.mode, folder / f"{STAGE}.jsonl", report) if held_out else None
        trained, done = train_retrieval(
            loaded,
            trained_on,
            folder,
            settings,
            validation,
            report,
            teacher=load_trainable(teacher) if teacher and not settings.distil else None,
        )
        if not is_first_process():
            return
        if validation and settings.mode != "twin":
            validation.calibrate(trained)
        trained.name = output.resolve().name
        if report:
            report("writing the model", 0, 1, {})
        save_model(trained, output)
        if report:
            report("writing the model", 1, 1, {})
    if reason := try_plot_losses(folder, (STAGE,)):
        warn(reason)
    show_retrieval(done, validation, trained.calibration, output, as_json)


class Validation:
    """Measures R@1 of the trained stages on the captions held out, as the mean over directions and languages.

    It warns if the first value is no better than chance. log: the losses of the training. skipped: the held-out
    pictures that cannot be read, each with the reason, after the first validation.
    """

    def __init__(
        self, captions: "list[Caption]", mode: "Mode", log: Path, report: "StageProgress | None" = None
    ) -> None:
        from polyglance.evaluation.pools import pools

        self.mode, self.log, self.report, self._first = mode, log, report, True
        self.pools = list(pools(captions, "val"))
        self.skipped: dict[str, str] = {}

    def __call__(self, model: "CutModel") -> float:
        from statistics import fmean

        reached = round(fmean(one.percent["R@1"] for one in self._evaluation(model).scores()), 4)
        if self._first:
            self._warn_at_chance(reached)
        self._first = False
        return reached

    def _warn_at_chance(self, reached: float) -> None:
        from polyglance.training.loop import read_log
        from polyglance.training.validation import why_at_chance

        by_chance, _, learned = self.learned(reached)
        if learned is False:
            losses = [
                sum(value for name, value in row.items() if name not in ("step", "seconds"))
                for row in read_log(self.log)
            ]
            warn(f"R@1 of the first validation is {reached:.1f} %, by chance {by_chance:.1f}; {why_at_chance(losses)}")

    def calibrate(self, model: "CutModel") -> None:
        """Calibrates the logits of the match on the captions held out, if these tell true from false."""
        from polyglance.evaluation.calibration import calibrated

        if line := calibrated(self._evaluation(model)):
            model.config = replace(model.config, calibration=line)

    def learned(self, reached: float) -> tuple[float, int, bool | None]:
        """(R@1 of a random order, queries that were asked, whether `reached` is above that chance)."""
        from polyglance.evaluation.pools import chance
        from polyglance.training.validation import beats_chance

        by_chance, asked = chance(self.pools)
        return round(by_chance, 4), asked, beats_chance(reached, by_chance, asked)

    def _evaluation(self, model: "CutModel") -> "Evaluation":
        from polyglance.evaluation.systems import Evaluation, System

        candidates = min(20, *(min(len(pool.texts), len(pool.images)) for pool in self.pools))
        system = System(None if self.mode == "cross" else model, None if self.mode == "twin" else model, candidates)
        evaluation = Evaluation(system, self.pools, progress=self.report)
        self.skipped |= evaluation.skipped
        self.pools = evaluation.pools
        return evaluation


def show_retrieval(
    done: "RetrievalReport",
    validation: Validation | None,
    calibration: tuple[float, float],
    folder: Path,
    as_json: bool,
) -> None:
    skipped = {**done.skipped, **(validation.skipped if validation else {})}
    warn_skipped(skipped)
    by_chance, asked, learned = validation.learned(max(done.validation)) if validation else (None, 0, None)
    if learned is False:
        warn(
            f"the training learned nothing that shows: R@1 is {max(done.validation):.1f} % over {asked:,} queries of "
            f"the validation, and a random order would have {by_chance:.1f} %"
        )
    if as_json:
        found = {"chance": by_chance, "learned": learned, "skipped": skipped}
        print_json({"folder": str(folder), **asdict(done), "calibration": calibration, **found})
        return
    output = console()
    losses = ", ".join(f"{name} {value:.3f}" for name, value in done.losses.items())
    output.print(
        f"{done.captions:,} captions of {done.pictures:,} pictures, {done.steps:,} steps, precision {done.precision}; "
        f"losses of the last epoch: {losses}; the model is in {one_line(str(folder))}",
        soft_wrap=True,
    )
    if done.cut:
        output.print(f"captions longer than the model reads, whose ends are not seen: {done.cut:,}", soft_wrap=True)
    if done.validation:
        recalls = ", ".join(f"{recall:.1f}" for recall in done.validation)
        output.print(
            f"R@1 of the validation after each epoch: {recalls} (by chance {by_chance:.1f}); kept: epoch "
            f"{done.best_epoch}",
            soft_wrap=True,
        )
    else:
        output.print("without captions of the split val nothing tells whether it learned", style="dim", soft_wrap=True)


def task_settings(drop_depth: str, epochs: int, learning_rate: float, seed: int) -> "TaskSettings":
    from polyglance.training.tasks.trainer import TaskSettings

    if drop_depth != "robust" and not drop_depth.isdecimal():
        raise typer.BadParameter(f"expected --drop-depth to be a number of layers or robust, got {drop_depth!r}")
    depth = None if drop_depth == "robust" else int(drop_depth)
    return TaskSettings(depth, epochs, learning_rate=learning_rate, seed=seed)


def show(done: "QuestionReport", folder: Path, as_json: bool) -> None:
    from polyglance.training.validation import beats_chance

    warn_skipped(done.skipped)
    for split, score in done.scores.items():
        if beats_chance(score["accuracy"], score["most_frequent"], int(score["questions"])) is False:
            warn(
                f"the training learned nothing that shows: {score['accuracy']:.1f} % of {score['questions']:,} "
                f"questions of the split {split} are right, and the commonest answer alone would be in "
                f"{score['most_frequent']:.1f} %"
            )
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
