"""The commands that fill and maintain a library. Each imports what it needs when it runs."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from polyglance.cli.options import Json, LibraryFolder, library_folder
from polyglance.cli.output import console, counted, file_name, one_line, print_json, progress, table
from polyglance.models import BUNDLED

if TYPE_CHECKING:
    from polyglance.library import Library
    from polyglance.models.protocol import Embedder
    from polyglance.types import AwayPictures, IndexReport, TextReport

app = typer.Typer(help="Look after a library.", no_args_is_help=True)

_SUFFIXES_SHOWN: Final = 8


def index(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER", help="Folders of pictures, or picture files.")
    ] = None,
    texts: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Texts to index, one per line, or captions as .jsonl."),
    ] = None,
    library: LibraryFolder = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"A model's name or folder, such as {BUNDLED}. [default: the library's; for a new one "
            "google/siglip2-base-patch16-256]",
        ),
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Also forget pictures that are away.")] = False,
    as_json: Json = False,
) -> None:
    """Read pictures and texts into a library.

    Subfolders are included. Run the command again at any time: it reads new and changed files, forgets files that are
    gone, and does not read unchanged files again. After an interruption, the next run continues from there.

    Missing pictures are kept as away if their folder is missing or empty (its drive may not be mounted), or if more
    pictures of a FOLDER are missing than are still there. On a terminal you are asked whether to forget them; --prune
    forgets them without asking.

    By default SigLIP 2 reads a new library. It is fetched from the Hugging Face hub once. --model names another model,
    such as a folder, or the bundled model, which needs no network but finds less.

    \b
    Examples:
      polyglance index ~/Pictures --library my-library
      polyglance index --texts captions.jsonl --library my-library
      polyglance index ~/Pictures --prune
    """
    if not (folders or texts):
        raise typer.BadParameter("name folders of pictures, or a file of texts with --texts FILE")
    from polyglance.types import IndexReport, TextReport

    folder = library_folder(library)
    require_there(folder, [*(folders or []), *(texts or [])])

    @cache
    def opened() -> "Library":
        return library_to_fill(folder, model)

    read, report = TextReport(), IndexReport()
    if texts:
        with progress("Reading texts") as tick:
            read = opened().add_texts(texts, progress=tick)
    if folders:
        report = add_pictures(folder, model, folders, prune, opened)
    if as_json:
        print_json({**asdict(report), "texts": asdict(read)})
        return
    if texts:
        show_text_report(read)
    if folders:
        show_index_report(report)
        if report.away and may_forget(report.away):
            show_index_report(add_pictures(folder, model, [Path(one.folder) for one in report.away], True, opened))


@app.command()
def info(library: LibraryFolder = None, as_json: Json = False) -> None:
    """Show what a library holds, which model read it, and how many of its pictures are away.

    \b
    Example:
      polyglance library info --library my-library
    """
    from polyglance.library import Library

    with Library.open(library_folder(library)) as opened:
        found = opened.info()
    if as_json:
        print_json(asdict(found))
        return
    output = console()
    facts = {
        "library": file_name(found.path or ""),
        "pictures": f"{found.pictures:,} ({found.away:,} away)",
        "texts": f"{found.texts:,}",
        "on disk": f"{found.size / 1e6:,.1f} MB",
        "model": f"{one_line(found.model)} ({one_line(found.source)}, {found.fingerprint:.12})",
        "languages": ", ".join(found.languages),
    }
    for name, value in facts.items():
        output.print(f"{name:<10} {value}", soft_wrap=True)
    if found.folders:
        shown = table("folder", "pictures", "away", numbers=["pictures", "away"])
        for folder in found.folders:
            shown.add_row(file_name(folder.path), f"{folder.pictures:,}", f"{folder.away:,}")
        output.print(shown)


@app.command()
def remove(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Pictures, or folders of pictures.")],
    library: LibraryFolder = None,
    as_json: Json = False,
) -> None:
    """Forget pictures of a library. Their files are not changed.

    Indexing their folder again reads them again.

    \b
    Example:
      polyglance library remove ~/Pictures/receipts
    """
    from polyglance.indexing.pictures import remove_pictures
    from polyglance.store.lance import LanceDatabase

    database = LanceDatabase(library_folder(library))
    with database.writer():
        removed = remove_pictures(database, paths)
    if as_json:
        print_json({"removed": removed})
    else:
        console().print(f"{removed} removed")


def require_there(library: Path, named: Sequence[Path]) -> None:
    """Raises DataError if a named path does not exist, before a model is fetched for a new library.

    Nothing is checked for an existing library, because it may know pictures that were at the path.
    """
    from polyglance.errors import DataError
    from polyglance.store.lance import LanceDatabase

    for path in named:
        if not path.exists() and not LanceDatabase.exists(library):
            raise DataError(f"expected pictures or texts to index, but {path} does not exist")


def library_to_fill(folder: Path, model: str | None) -> "Library":
    """Opens the library in a folder, or creates it."""
    from polyglance.library import Library
    from polyglance.store.lance import LanceDatabase

    return (Library.open if LanceDatabase.exists(folder) else Library.create)(folder, model=model)


def add_pictures(
    folder: Path, model: str | None, named: Sequence[Path], prune: bool, opened: "Callable[[], Library]"
) -> "IndexReport":
    """Adds pictures as `Library.add` does.

    For an existing library, neither torch nor the model is loaded until there is a picture to read, unless the model
    may have changed.

    opened: returns the library.
    """
    from polyglance.indexing.known_model import known_model, note_model
    from polyglance.indexing.pictures import PictureRun
    from polyglance.models import find_model
    from polyglance.store.lance import LanceDatabase

    with progress("Reading pictures") as tick:
        database = LanceDatabase(folder) if LanceDatabase.exists(folder) else None
        if database and model is not None and find_model(model).loads_again != database.reader.source:
            return opened().add(named, prune=prune, progress=tick)
        if database is None or (identity := known_model(database)) is None:
            report = opened().add(named, prune=prune, progress=tick)
            note_model(LanceDatabase(folder), opened().model.identity)
            return report
        with database.writer():
            run = PictureRun(lambda: embedder_of(opened()), identity, database, named, prune=prune)
            return run.run(tick or (lambda done, total: None))


def embedder_of(library: "Library") -> "Embedder":
    from polyglance.models.capabilities import as_embedder

    return as_embedder(library.model)


def may_forget(away: Sequence["AwayPictures"]) -> bool:
    """Asks whether to forget pictures; the answer is no if there is no terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    count = sum(one.pictures for one in away)
    return typer.confirm(f"Forget {counted(count, 'picture')}, away now?")


def show_index_report(report: "IndexReport") -> None:
    output = console()
    for failed in report.failed:
        output.print(f"failed: {file_name(failed.path)}: {one_line(failed.reason)}", style="yellow", soft_wrap=True)
    for one in report.away:
        output.print(
            f"away: {counted(one.pictures, 'picture')} below {file_name(one.folder)}, not there now and kept; "
            "--prune forgets what is away",
            style="yellow",
            soft_wrap=True,
        )
    if report.passed_over:
        output.print(f"passed over: {suffixes(report.passed_over)}", style="dim", soft_wrap=True)
    output.print(
        f"{report.added} added, {report.unchanged} unchanged, {report.moved} moved, {report.removed} removed, "
        f"{sum(one.pictures for one in report.away)} away, {len(report.failed)} failed "
        f"in {report.seconds:.1f} s ({report.pictures_per_second:.0f} pictures/s)",
        soft_wrap=True,
    )


def suffixes(counts: dict[str, int]) -> str:
    """Formats counts as `3 .avif, 1 without a suffix`: the first suffixes, and how many files have others."""
    shown = list(counts.items())[:_SUFFIXES_SHOWN]
    parts = [f"{count} {one_line(suffix) or 'without a suffix'}" for suffix, count in shown]
    if others := sum(counts.values()) - sum(count for _, count in shown):
        parts.append(f"{others} others")
    return ", ".join(parts)


def show_text_report(report: "TextReport") -> None:
    output = console()
    for failed in report.failed:
        where = f"{file_name(failed.path)}, line {failed.line}"
        output.print(f"failed: {where}: {one_line(failed.reason)}", style="yellow", soft_wrap=True)
    output.print(
        f"{report.added} texts added, {report.unchanged} unchanged, {report.removed} removed, "
        f"{len(report.failed)} failed in {report.seconds:.1f} s"
    )
