"""The commands on saved adapters: list, show, convert, prune."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli.options import Json
from polyglance.cli.output import console, file_name, one_line, print_json, stages, table

if TYPE_CHECKING:
    from polyglance.training.tasks.questions import PruningReport

app = typer.Typer(help="Look at saved adapters, convert them, or prune their fusions.", no_args_is_help=True)

AdapterFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of an adapter or a fusion.")]


@app.command("list")
def list_adapters(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to search, with all its subfolders.")],
    as_json: Json = False,
) -> None:
    """List the adapters and fusions in a folder, including those saved by the adapters library (AdapterHub).

    \b
    Example:
      polyglance adapters list my-adapters
    """
    from polyglance.adapters.catalogue import catalogue

    listed = catalogue(folder)
    if as_json:
        print_json(asdict(listed))
        return
    output = console()
    for failed in listed.failed:
        output.print(f"failed: {file_name(failed.folder)}: {one_line(failed.reason)}", style="yellow", soft_wrap=True)
    numbers = ["layers", "width", "parameters", "size"]
    shown = table("name", "kind", "form", *numbers, "folder", numbers=numbers)
    for one in listed.found:
        counts = (str(one.layers), str(one.width), f"{one.parameters:,}", kilobytes(one.bytes))
        where = str(Path(one.folder).relative_to(folder))
        shown.add_row(one_line(one.name), one.kind, one.form, *counts, one_line(where))
    output.print(shown if listed.found else "nothing found: no folder here holds an adapter or a fusion")


@app.command()
def show(folder: AdapterFolder, as_json: Json = False) -> None:
    """Show an adapter's or a fusion's fingerprint, sizes and settings.

    \b
    Example:
      polyglance adapters show my-adapters/vqa
    """
    from polyglance.adapters.catalogue import facts_of

    facts = asdict(facts_of(folder))
    if as_json:
        print_json(facts)
        return
    settings, size = facts.pop("settings"), facts.pop("bytes")
    shown = table("", "")
    shown.show_header = False
    for fact, value in (facts | {"size": kilobytes(size)} | settings).items():
        if value is not None:
            shown.add_row(fact, one_line(str(value)))
    console().print(shown)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The folder of an adapter or a fusion.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="Output folder, which must be new or empty.")],
    as_json: Json = False,
) -> None:
    """Convert an adapter or a fusion between polyglance and the adapters library (AdapterHub).

    What the library saved is written for polyglance, what polyglance saved is written for the library. A setting that
    the other does not have is an error. A prediction head is not converted; what was left out is named.

    \b
    Example:
      polyglance adapters convert downloads/sst-2 my-adapters/sst-2
    """
    from polyglance.adapters.adapterhub import convert

    done = convert(source, target)
    if as_json:
        print_json({**asdict(done), "folder": str(target)})
        return
    reader = "the adapters library" if done.form == "adapters" else "polyglance"
    print(f"{done.kind} for {reader} written to {one_line(str(target))}")
    if done.left_out:
        print(f"not converted, for the other form has no place for it: {one_line(', '.join(done.left_out))}")


@app.command()
def prune(
    task: Annotated[Path, typer.Argument(metavar="TASK", help="The folder that `polyglance train fusion` wrote.")],
    questions: Annotated[
        Path, typer.Argument(metavar="QUESTIONS", help="JSON Lines; those of the split train tell what is used.")
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Output folder of the pruned task.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the task. [default: the name of DIR]")
    ] = None,
    keep: Annotated[int | None, typer.Option(min=1, metavar="N", help="Keep the N most used adapters.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, metavar="X", help="Keep adapters whose mean weight is at least X, and always at least one."
        ),
    ] = None,
    everywhere: Annotated[
        bool,
        typer.Option("--global/--per-layer", help="Keep the same adapters in all layers, or choose for each layer."),
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Draw the mean weights, layers by adapters, as a picture.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Remove the adapters that a fusion of tasks uses least.

    The rest is folded and no longer needs its adapters. Ask it like any other task with `polyglance ask --task DIR`.

    \b
    Example:
      polyglance adapters prune tasks/both my-questions.jsonl --keep 1 --output tasks/pruned
    """
    from polyglance.data.questions import read_questions
    from polyglance.models import load_single_stream
    from polyglance.models.tasks import load_task
    from polyglance.training.tasks.pruning import Keep, plot_use
    from polyglance.training.tasks.questions import prune_question_fusion

    chosen = Keep(keep, threshold, everywhere)
    asked = read_questions(questions)
    fusion = load_task(task)
    with stages() as report:
        pruned = prune_question_fusion(
            load_single_stream(fusion.model), fusion, asked, output, name or output.resolve().name, chosen, report
        )
    if plot is not None:
        plot_use(pruned.names, pruned.use, plot)
    if as_json:
        print_json({"folder": str(output), **asdict(pruned)})
    else:
        show_pruned(pruned, output)


def show_pruned(pruned: "PruningReport", folder: Path) -> None:
    output = console()
    names = [one_line(name) for name in pruned.names]
    shown = table("layer", *names, "kept", numbers=["layer", *names])
    for layer, (weights, kept) in enumerate(zip(pruned.use, pruned.kept, strict=True)):
        shown.add_row(str(layer), *(f"{weight:.3f}" for weight in weights), one_line(", ".join(kept)))
    output.print(shown)
    for split, score in pruned.scores.items():
        before = pruned.scores_before[split]["accuracy"]
        output.print(f"{split}: accuracy {score['accuracy']:.1f} %, before {before:.1f} %")
    output.print(
        f"{kilobytes(pruned.bytes)}, before {kilobytes(pruned.bytes_before)}; the task is in {one_line(str(folder))}",
        soft_wrap=True,
    )


def kilobytes(count: int) -> str:
    return f"{count / 1000:,.0f} kB"
