"""Options that several commands share, and where a library lies when none is named."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from polyglance.data.lines import Split as SplitName
from polyglance.languages import language_code

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
LibraryFolder = Annotated[
    Path | None,
    typer.Option("--library", metavar="DIR", help="The library's folder. [default: ~/.local/share/polyglance/library]"),
]


def codes(tags: list[str] | None) -> list[str] | None:
    return tags and [language_code(tag) for tag in tags]


Language = Annotated[str, typer.Option("--language", metavar="CODE", help="Language of the text, such as de or ko.")]
Split = Annotated[SplitName, typer.Option(help="Which part of the data.")]
Precision = Annotated[Literal["bf16", "fp16", "no"], typer.Option(help="Of products; no: float32.")]
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
