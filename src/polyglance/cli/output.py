"""The output of the commands: JSON for programs, tables for people, progress on a terminal."""

import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from polyglance.types import Progress, StageProgress

_HARMLESS: Final = {"\u200c", "\u200d"}
"""Format characters that scripts need: the joiners of Bengali and Hindi."""


def one_line(text: str) -> str:
    """`text` on one line, with nothing in it that a terminal would obey: such characters are written as escapes."""

    def escaped(character: str) -> str:
        unsafe = unicodedata.category(character)[0] == "C" or character in "\u2028\u2029"
        if not unsafe or character in _HARMLESS:
            return character
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")

    return "".join(map(escaped, text))


def file_name(path: str) -> str:
    """Formats a path on one line, relative to the working directory if it is below it."""
    try:
        return one_line(str(Path(path).relative_to(Path.cwd())))
    except ValueError:
        return one_line(path)


def print_json(document: Any) -> None:
    """One JSON document on standard output. A file name that is no UTF-8 comes back whole from `os.fsencode`."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    print(re.sub("[\x7f-\x9f\u2028\u2029\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text))


def warn(text: str) -> None:
    """One line on standard error about something that did not end the command."""
    print(f"polyglance: warning: {one_line(text)}", file=sys.stderr)


def print_paths(paths: Sequence[str], end: bytes) -> None:
    """Paths on standard output, byte for byte as the system names them, each with its end."""
    sys.stdout.buffer.write(b"".join(os.fsencode(path) + end for path in paths))
    sys.stdout.flush()


def warn_skipped(skipped: Mapping[str, str]) -> None:
    """Warns about skipped pictures.

    skipped: the pictures that could not be read, each with the reason.
    """
    if skipped:
        from polyglance.data.lines import named

        shown = named([f"{path}: {reason}" for path, reason in skipped.items()])
        warn(f"{len(skipped):,} of the pictures cannot be read, skipped: {shown}")


def console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, soft_wrap=False)


def table(*columns: str, numbers: Sequence[str] = (), title: str | None = None) -> "Table":
    """Makes a table with these columns. Those in `numbers` are right-aligned; cells are folded, never cut."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return made


def counted(count: int, noun: str) -> str:
    """`1 picture`, `2 pictures`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def bar(share: float, width: int = 12) -> str:
    """A bar of `width` cells, filled by `share` of one, in eighths of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def show_comparison(report: dict[str, Any]) -> None:
    """Prints B minus A, with a row for each language and measure."""
    shown = table("language", "measure", "B - A", "95 %", "", numbers=["B - A", "95 %"])
    for language, measures in report.items():
        for name, one in measures.items():
            low, high = one["interval"]
            verdict = "may be noise" if one["likely_noise"] else "more than noise"
            shown.add_row(language, name, f"{one['difference']:+.2f}", f"{low:+.2f} to {high:+.2f}", verdict)
    console().print(shown)


def times(milliseconds: dict[str, float]) -> str:
    """`12.3 ms (text 4.0, retrieve 0.3, rerank 8.0)`."""
    parts = ", ".join(f"{name} {value:.1f}" for name, value in milliseconds.items() if name != "total")
    return f"{milliseconds['total']:.1f} ms ({parts})"


@contextmanager
def stages() -> Iterator["StageProgress | None"]:
    """Shows a progress bar for each stage on standard error, with its latest figures; None if it is not a terminal.

    A stage whose count falls back, such as a validation that comes again, begins anew.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn
    from rich.progress import Progress as Display

    from polyglance.cli.time_left import TimeLeftColumn

    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeLeftColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
    )
    with Display(*columns, console=Console(stderr=True), transient=True) as display:
        tasks: dict[str, TaskID] = {}
        latest: dict[str, int] = {}

        def report(stage: str, done: int, total: int, values: dict[str, float]) -> None:
            figures = "  ".join(f"{name} {value:.3f}" for name, value in values.items())
            if stage not in tasks:
                tasks[stage] = display.add_task(stage, total=total, completed=done, figures=figures, begun=done)
            elif done < latest[stage]:
                display.reset(tasks[stage], total=total, completed=done, figures=figures, begun=done)
            else:
                display.update(tasks[stage], completed=done, total=total, figures=figures)
            latest[stage] = done

        yield report


@contextmanager
def progress(description: str) -> Iterator["Progress | None"]:
    """Shows one progress bar on standard error; None if it is not a terminal."""
    with stages() as report:
        yield (lambda done, total: report(description, done, total, {})) if report else None
