"""The commands on saved adapters: list, show, convert."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from polyglance.cli.options import Json
from polyglance.cli.output import console, file_name, one_line, print_json, table

app = typer.Typer(help="Look at saved adapters, or convert them.", no_args_is_help=True)

AdapterFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of an adapter or a fusion.")]


@app.command("list")
def list_adapters(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to look, with all its subfolders.")],
    as_json: Json = False,
) -> None:
    """List the adapters and fusions in a folder.

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
    shown = table("name", "kind", "placement", *numbers, "folder", numbers=numbers)
    for one in listed.found:
        counts = (str(one.layers), str(one.width), f"{one.parameters:,}", kilobytes(one.bytes))
        shown.add_row(one_line(one.name), one.kind, one.placement or "", *counts, file_name(one.folder))
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
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="Where to write: a new or an empty folder.")],
    as_json: Json = False,
) -> None:
    """Convert an adapter or a fusion between polyglance and the adapters library (AdapterHub).

    What the library saved is written for polyglance, what polyglance saved is written for the library. A setting that
    the other does not have is an error.

    \b
    Example:
      polyglance adapters convert downloads/sst-2 my-adapters/sst-2
    """
    from polyglance.adapters.hub import convert

    kind, form = convert(source, target)
    if as_json:
        print_json({"kind": kind, "form": form, "folder": str(target)})
    else:
        reader = "the adapters library" if form == "adapters" else "polyglance"
        print(f"{kind} for {reader} written to {one_line(str(target))}")


def kilobytes(count: int) -> str:
    return f"{count / 1000:,.0f} kB"
