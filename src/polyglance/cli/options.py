"""Options that several commands share, and where a library lies when none is named."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from polyglance.data.lines import Split as SplitName
from polyglance.languages import language_code

if TYPE_CHECKING:
    from polyglance.training.devices import Precision as PrecisionName

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
LibraryFolder = Annotated[
    Path | None,
    typer.Option("--library", metavar="DIR", help="The library's folder. [default: ~/.local/share/polyglance/library]"),
]


def codes(tags: list[str] | None) -> list[str] | None:
    return tags and [language_code(tag) for tag in tags]


Language = Annotated[str, typer.Option("--language", metavar="CODE", help="Language of the text, such as de or ko.")]
Split = Annotated[SplitName, typer.Option(help="Which part of the data.")]
Precision = Annotated[
    Literal["bf16", "fp16", "no"] | None,
    typer.Option(help="Of products; no: float32. [default: bf16 where the device multiplies it in hardware, else no]"),
]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, metavar="S", help="Seed of the weights and of the order.")]
Languages = Annotated[
    list[str] | None,
    typer.Option(
        "--language", metavar="CODE", callback=codes, help="A language to measure. [default: all of the data]"
    ),
]


def library_folder(chosen: Path | None) -> Path:
    """`chosen`, or the user's own library, which follows `XDG_DATA_HOME`."""
    if chosen is not None:
        return chosen
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "polyglance" / "library"


def chosen_precision(name: "PrecisionName | None") -> "PrecisionName":
    """`name`, with a warning where the device emulates it; where nothing was chosen, the device's own."""
    from polyglance.cli.output import warn
    from polyglance.training.devices import native_precision

    native = native_precision()
    if name == "bf16" != native:
        warn("bfloat16 is emulated here: a step takes several times as long as with --precision no")
    return name or native
