"""The commands on a library: index, search, ask, and the demo. Each imports what it needs when it runs."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from polyglance.cli import adapters, evaluate, library, model, scenes, train
from polyglance.cli.options import Json, Language, LibraryFolder, library_folder
from polyglance.cli.output import bar, console, counted, file_name, one_line, print_json, print_paths, table, times
from polyglance.cli.spoken import SpokenCommand
from polyglance.models import BUNDLED

if TYPE_CHECKING:
    from rich.table import Table

    from polyglance.library import Library
    from polyglance.types import (
        Answer,
        AskResponse,
        SearchResponse,
        SearchResult,
        TextResult,
    )

app = typer.Typer(
    help="Search your own pictures and ask about them, in many languages.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.add_typer(library.app, name="library")
app.add_typer(scenes.app, name="scenes")
app.add_typer(model.app, name="model")
app.add_typer(train.app, name="train")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(adapters.app, name="adapters")


def print_version(wanted: bool) -> bool:
    if wanted:
        from polyglance import __version__

        print(f"polyglance {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def polyglance(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


app.command()(library.index)


@app.command(cls=SpokenCommand)
def search(
    query: Annotated[str | None, typer.Argument(metavar="QUERY", help="What the picture shows.")] = None,
    image: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Find pictures like this one; QUERY adds to it.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="What the picture does not show.")] = None,
    texts: Annotated[bool, typer.Option("--texts", help="Find texts in the library instead of pictures.")] = False,
    library: LibraryFolder = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The library's model with an added language. [default: the library's model]"),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="Number of results.")] = 10,
    candidates: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Number of candidates to retrieve and rerank. [default: 20]")
    ] = None,
    budget_ms: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="MS", help="Milliseconds for the search; pick the candidates and the drop depth to fit."
        ),
    ] = None,
    language: Language = "auto",
    no_rerank: Annotated[bool, typer.Option("--no-rerank", help="Retrieve only; faster but less accurate.")] = False,
    reranker: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Another model, or st:NAME, that reranks; it opens the picture files. [default: the model]",
        ),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="S", help="Leave out results with a lower probability than this."),
    ] = None,
    paths: Annotated[bool, typer.Option("--paths", help="Print only the paths of the pictures, one per line.")] = False,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="With --paths: end each path with a zero byte, for xargs -0.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find the pictures that fit a description or resemble other pictures, or the texts that fit a picture; best first.

    \b
    Examples:
      polyglance search "a small dog on a red plate" -k 5
      polyglance search --image dog.png
      polyglance search "on a red plate" --image dog.png --without "at night"
      polyglance search --image dog.png --texts
      polyglance search "a small dog on a red plate" --budget-ms 50 --min-score 0.5
      polyglance search "a small dog" -k 100 --paths --null | xargs -0 cp -t dogs
    """
    from polyglance.library import Library
    from polyglance.query import Query

    wanted = [Query.text(query)] if query is not None else []
    wanted += map(Query.picture, image or [])
    if not wanted:
        raise typer.BadParameter("describe what to search for, or show it with --image PATH")
    asked = Query.sum([*wanted, *(-Query.text(text) for text in without or [])])
    if reranker and (no_rerank or texts):
        raise typer.BadParameter("--reranker reorders pictures: leave out --no-rerank and --texts, or the reranker")
    if paths and (texts or as_json):
        raise typer.BadParameter("--paths prints paths of pictures alone: leave out --texts and --json")
    if null and not paths:
        raise typer.BadParameter("--null is about paths: add --paths")
    opened = Library.open(library_folder(library), model=model, reranker=reranker)
    find = opened.search_texts if texts else opened.search
    response: SearchResponse[Any] = find(
        asked,
        k=k,
        candidates=candidates,
        language=language,
        rerank=not no_rerank,
        min_score=min_score,
        budget_ms=budget_ms,
    )
    if as_json:
        print_json(asdict(response))
    elif paths:
        print_paths([result.path for result in response.results], b"\0" if null else b"\n")
    else:
        show_search(response, "texts" if texts else "pictures", min_score)
        if not (opened.reranks or no_rerank):
            console().print(
                f"in the order of their vectors: {one_line(response.model)} was not trained to match; "
                "--reranker names another model that does",
                style="dim",
                soft_wrap=True,
            )
    if response.unopened and not as_json:
        show_unopened(response.unopened)


@app.command(cls=SpokenCommand)
def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="A question about one picture.")],
    image: Annotated[Path | None, typer.Option(metavar="PATH", help="The picture.")] = None,
    query: Annotated[str | None, typer.Option(metavar="QUERY", help="Ask about the best hit of this search.")] = None,
    task: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="A trained task that answers. Repeat the option to ask several tasks at once."
        ),
    ] = None,
    drop_depth: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Run the lowest N joint layers without the tasks' adapters; auto: the best N within --budget-ms.",
        ),
    ] = None,
    budget_ms: Annotated[
        float | None, typer.Option(min=0, metavar="MS", help="Milliseconds for an answer, for --drop-depth auto.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"A model's name or folder, such as {BUNDLED}. [default: the model of the library or the task]",
        ),
    ] = None,
    library: LibraryFolder = None,
    language: Language = "auto",
    answer_language: Annotated[
        str,
        typer.Option(metavar="CODE", help="Language of the answers; auto: the language of the question, else English."),
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Ask about a picture: a file, or the best hit of a search.

    The library's model answers unless --model names another. The model must have been trained to answer.

    \b
    Examples:
      polyglance ask "What colour is the star?" --image night.png
      polyglance ask "How many boats are there?" --image pier.jpg --model Salesforce/blip-vqa-base
      polyglance ask "How many dogs are in the picture?" --query "a dog at night"
      polyglance ask "Is it new?" --image night.png --task tasks/age --task tasks/colours
      polyglance ask "Is it new?" --image night.png --task tasks/any --drop-depth auto --budget-ms 5
    """
    if (image is None) == (query is None):
        raise typer.BadParameter(
            "name the picture with --image PATH or search for it with --query QUERY: one of the two"
        )
    depth = task_depth(drop_depth)
    if not task and (depth is not None or budget_ms is not None):
        raise typer.BadParameter("--drop-depth and --budget-ms need a task: name one with --task DIR")
    if budget_ms is not None and depth != "auto":
        raise typer.BadParameter("--budget-ms chooses the depth for --drop-depth auto: name both")
    from polyglance.types import AskTasksResponse

    opened = library_to_ask(library, model, task or [], needed=image is None)
    if image is None:
        image = best_hit(opened.search(query or "", k=1, language=language))
    response: AskResponse | AskTasksResponse
    if task:
        response = opened.ask_tasks(
            question,
            image=image,
            tasks=task,
            language=language,
            drop_depth=depth,
            budget_ms=budget_ms,
            answer_language=answer_language,
        )
    else:
        response = opened.ask(question, image=image, language=language, answer_language=answer_language)
    if as_json:
        print_json(asdict(response))
        return
    output = console()
    output.print(file_name(response.path), style="dim", soft_wrap=True)
    if isinstance(response, AskTasksResponse):
        output.print(*(answer_table(one.answers, one.task) for one in response.tasks), sep="\n")
    else:
        output.print(answer_table(response.answers))
    output.print(f"{one_line(response.model)}: {times(response.milliseconds)}", style="dim")
    if response.note:
        output.print(response.note, style="yellow", soft_wrap=True)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the demo's files.")] = Path("polyglance-demo"),
    as_json: Json = False,
) -> None:
    """Try everything out, in eight languages.

    Writes emoji, photographs, clip art and fresh scenes as picture files, and indexes them. Describes one scene in
    eight languages, searches for something else in each of them, asks about the scene, and draws the results as one
    picture, contact_sheet.png. samples/credits.jsonl names the photographers and artists.

    \b
    Example:
      polyglance demo --folder my-demo
    """
    from polyglance.cli.demo import run_demo, show_demo

    report = run_demo(folder)
    if as_json:
        print_json(asdict(report))
    else:
        show_demo(report)


def task_depth(named: str | None) -> int | Literal["auto"] | None:
    if named is None or named == "auto":
        return "auto" if named else None
    if not named.isdecimal():
        raise typer.BadParameter(f"expected --drop-depth to be a number of layers or auto, got {named!r}")
    return int(named)


def library_to_ask(chosen: Path | None, model: str | None, tasks: Sequence[Path], needed: bool) -> "Library":
    """Opens the chosen library, or the user's default one.

    If a model or a task is named and no library is chosen or needed, this is a library of that model without pictures.

    Raises:
        ConfigurationError: there is neither a library nor a model.
    """
    from polyglance.errors import ConfigurationError
    from polyglance.library import Library, library_without_pictures
    from polyglance.models import FOR_QUESTIONS, load_model

    folder = library_folder(chosen)
    if needed or chosen is not None:
        return Library.open(folder, model=model)
    if model:
        return library_without_pictures(load_model(model))
    if tasks:
        from polyglance.models.tasks import load_task

        return library_without_pictures(load_model(load_task(tasks[0]).model))
    if not folder.exists():
        raise ConfigurationError(
            "expected a model to answer, but none is named and there is no library: name one with --model, "
            f"such as {FOR_QUESTIONS} for photographs, or {BUNDLED} for drawn scenes"
        )
    return Library.open(folder)


def best_hit(response: "SearchResponse[SearchResult]") -> Path:
    from polyglance.errors import QueryError

    if not response.results:
        raise QueryError(
            f"no picture in the library fits {response.query!r}: index some with `polyglance index FOLDER`"
        )
    return Path(response.results[0].path)


def show_search(
    response: "SearchResponse[SearchResult] | SearchResponse[TextResult]", what: str, min_score: float | None
) -> None:
    from polyglance.types import SearchResult

    output = console()
    columns = ["picture"] if what == "pictures" else ["text", "source"]
    judged = ["", "score"] if any(result.score is not None for result in response.results) else []
    found = table("#", *columns, *judged, "cosine", numbers=["#", "score", "cosine"])
    for result in response.results:
        score = [""] * len(judged) if result.score is None else [bar(result.score), f"{result.score:.3f}"]
        shown = (
            [file_name(result.path)]
            if isinstance(result, SearchResult)
            else [one_line(result.text), file_name(result.source)]
        )
        found.add_row(str(result.rank), *shown, *score, f"{result.retrieval_score:.3f}")
    wanted = "" if min_score is None else f" that fit with a probability of {min_score:g}"
    lacks = "no candidate could be opened" if response.unopened else f"the library holds no {what}{wanted}"
    output.print(found if response.results else f"nothing found: {lacks}")
    output.print(f"{response.model}, {response.language}: {times(response.milliseconds)}", style="dim")
    if response.picked:
        picked = response.picked
        output.print(
            f"reranked {picked.candidates} at drop depth {picked.depth}: {picked.expected_ms:.1f} ms expected",
            style="dim",
        )


def show_unopened(paths: Sequence[str]) -> None:
    """Prints the candidates that could not be opened to standard error; results go to standard output."""
    shown = ", ".join(map(file_name, paths[:3])) + (", ..." if len(paths) > 3 else "")
    print(
        f"{counted(len(paths), 'candidate')} could not be opened, and thus not be reranked or listed: {shown}",
        file=sys.stderr,
    )


def answer_table(answers: Sequence["Answer"], title: str | None = None) -> "Table":
    found = table("answer", "", "probability", numbers=["probability"], title=title and one_line(title))
    for answer in answers:
        found.add_row(one_line(answer.word), bar(answer.probability), f"{answer.probability:.3f}")
    return found
