"""The command that trains a model to answer questions about one's own pictures."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli.options import Json, Precision, Seed, chosen_precision
from polyglance.cli.output import console, one_line, print_json, stages, warn, warn_skipped
from polyglance.models import BUNDLED

if TYPE_CHECKING:
    from polyglance.training.vqa import VqaReport


def vqa(
    data: Annotated[
        Path, typer.Option(metavar="FILE", help="JSON Lines with image, question, answer, language, split.")
    ],
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of the trained model; created if missing.")
    ],
    model: Annotated[str, typer.Option(metavar="NAME", help="The model to start from: a name or a folder.")] = BUNDLED,
    adapters: Annotated[
        bool, typer.Option("--adapters", help="Train only the adapter and the head for answers; freeze the rest.")
    ] = False,
    all_weights: Annotated[
        bool,
        typer.Option(
            "--all-weights", help="Also train the layers that read pictures: better answers, but no more searches."
        ),
    ] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Number of steps. [default: ten epochs, at least 300]")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Questions per step.")] = 64,
    learning_rate: Annotated[
        float | None,
        typer.Option(min=0, metavar="RATE", help="Learning rate. [default: 5e-4, with --adapters 1e-3]"),
    ] = None,
    precision: Precision = None,
    patience: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Stop after N validations without a gain; 0: never."),
    ] = 0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a model on the questions of the split train, in any words and about any pictures.

    The model's answers become the answers to these questions; it keeps what it knew about those. The questions of the
    split val, or about a tenth of the pictures if there are none, measure the model: a random part of them up to twenty
    times, at most a quarter of the questions trained on in total, and all of them once at the end. The best model is
    kept. Pictures that cannot be read are named and skipped. Run the same command again to resume a stopped run.

    Use the model with --model DIR; a library has to be read again with it. The model searches nearly as well as before,
    equally well with --adapters, and not at all with --all-weights. It may forget languages that no question is in.

    \b
    Example:
      polyglance train vqa --data my-questions.jsonl --output my-model
      polyglance ask "How many are there?" --image picture.jpg --model my-model
    """
    from polyglance.data.questions import read_questions
    from polyglance.models import load_trainable
    from polyglance.training.curves import try_plot_losses
    from polyglance.training.devices import is_first_process
    from polyglance.training.vqa import STAGE, VqaSettings, train_vqa

    settings = VqaSettings(
        adapters=adapters,
        all_weights=all_weights,
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        precision=chosen_precision(precision),
        patience=patience,
        seed=seed,
    )
    questions = read_questions(data)
    loaded = load_trainable(model)
    with stages() as report:
        done = train_vqa(loaded, loaded.source or model, questions, output, settings, report)
    if is_first_process():
        if reason := try_plot_losses(output / "training", (STAGE,)):
            warn(reason)
        show(done, output, as_json)


def show(done: "VqaReport", folder: Path, as_json: bool) -> None:
    warn_skipped(done.skipped)
    if done.learned is False:
        warn(
            f"the training learned nothing that shows: {done.accuracy:.1f} % of {done.held_out:,} questions held out "
            f"are right, and the commonest answer alone would be right in {done.commonest:.1f} %"
        )
    if as_json:
        print_json({"folder": str(folder), **asdict(done)})
        return
    output = console()
    output.print(
        f"{done.questions:,} questions about {done.pictures:,} pictures, {done.answers:,} answers "
        f"({done.known:,} known before); {done.steps:,} steps, precision {done.precision}, loss {done.loss:.3f}; "
        f"the model is in {one_line(str(folder))}",
        soft_wrap=True,
    )
    if done.cut:
        output.print(f"questions longer than the model reads, whose ends are not seen: {done.cut:,}", soft_wrap=True)
    values = ", ".join(f"{value:.1f}" for value in done.validation)
    what = "the split val" if done.own_split else "a tenth of the pictures, which were not trained on"
    output.print(
        f"right of {done.held_out:,} questions of {what}: {done.accuracy:.1f} %; the commonest answer alone: "
        f"{done.commonest:.1f} %",
        soft_wrap=True,
    )
    output.print(
        f"validations on {done.validated:,} of them, in percent: {values}; kept: number {done.best}", soft_wrap=True
    )
