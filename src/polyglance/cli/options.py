"""Options that several commands share, and where a library lies when none is named."""

import os
from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
LibraryFolder = Annotated[
    Path | None,
    typer.Option("--library", metavar="DIR", help="The library's folder. [default: ~/.local/share/polyglance/library]"),
]
Language = Annotated[str, typer.Option("--language", metavar="CODE", help="Language of the text, such as de or ko.")]


def library_folder(chosen: Path | None) -> Path:
    """`chosen`, or the user's own library, which follows `XDG_DATA_HOME`."""
    if chosen is not None:
        return chosen
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "polyglance" / "library"
