"""Options that several commands share, and the default folder of a library."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, TypeVar, runtime_checkable

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
Split = Annotated[
    SplitName | None,
    typer.Option(help="The split to measure, and the split of data that does not name one. [default: test]"),
]
Precision = Annotated[
    Literal["bf16", "fp16", "no"] | None,
    typer.Option(
        help="Precision of products; no: float32. [default: bf16 if the device multiplies it faster, else no]"
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, metavar="S", help="Seed of the weights and the order.")]
Languages = Annotated[
    list[str] | None,
    typer.Option(
        "--language",
        metavar="CODE",
        callback=codes,
        help="A language to measure, and the language of data that does not name one. [default: all languages]",
    ),
]


def library_folder(chosen: Path | None) -> Path:
    """Returns `chosen`, or the user's default library, which follows `XDG_DATA_HOME`."""
    if chosen is not None:
        return chosen
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "polyglance" / "library"


def chosen_precision(name: "PrecisionName | None") -> "PrecisionName":
    """Returns `name`, with a warning if the device takes longer with it, or the fastest precision if `name` is None."""
    from polyglance.cli.output import warn
    from polyglance.training.devices import native_precision

    native = native_precision()
    if name == "bf16" != native:
        warn("this device multiplies bfloat16 more slowly than float32: --precision no takes less time")
    return name or native


@runtime_checkable
class _Measured(Protocol):
    @property
    def language(self) -> str: ...
    @property
    def split(self) -> SplitName: ...


AnyMeasured = TypeVar("AnyMeasured", bound=_Measured)


def read_wanted(
    read: Callable[[str | None, SplitName | None], list[AnyMeasured]], languages: Sequence[str], split: SplitName | None
) -> list[AnyMeasured]:
    """Returns the data from `read`.

    If an option names one language or split and all of the data has another, the data is read again under the option's:
    the option overrides the names of published files where the lines say nothing.
    """
    found = read(None, None)
    there, splits = {one.language for one in found}, {one.split for one in found}
    language = languages[0] if len(languages) == len(there) == 1 and languages[0] not in there else None
    wanted = split if split not in splits else None
    if len(splits) > 1:
        wanted = None
    return read(language, wanted) if language or wanted else found


def measured_split(found: Sequence[_Measured], split: SplitName | None) -> SplitName:
    """Returns the chosen split, else test. Raises DataError if none was chosen and the data has no split test."""
    from polyglance.errors import DataError

    if split is None and found and all(one.split != "test" for one in found):
        there = ", ".join(sorted({one.split for one in found}))
        raise DataError(
            f"expected data of the split test, which is measured by default, but there is only that of {there}: choose "
            "with --split, which also says it of data that does not say it line by line"
        )
    return split or "test"
