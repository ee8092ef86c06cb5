"""The commands that measure: models as retrieval systems, runs made elsewhere, and answers."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyglance.cli.evaluate_answers import vqa, xgqa
from polyglance.cli.options import Json, Languages, Split, measured_split, read_wanted
from polyglance.cli.output import console, print_json, show_comparison, stages, table, times, warn_skipped
from polyglance.data.lines import Split as SplitName
from polyglance.models import BUNDLED

if TYPE_CHECKING:
    from polyglance.evaluation.pools import Pool
    from polyglance.evaluation.runs import Scores

app = typer.Typer(help="Measure retrieval and answers.", no_args_is_help=True)
app.command()(vqa)
app.command()(xgqa)

LANGUAGE = "{language}"


class SystemName(StrEnum):
    """The systems of arXiv:2103.11920."""

    twin = "twin"
    cross = "cross"
    coop = "coop"
    separate = "separate"


Data = Annotated[Path, typer.Option(metavar="PATH", help="Captions: a file or a folder, in any form that is read.")]


@app.command()
def retrieval(
    data: Data,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of the pictures. [default: the folder of the captions]"),
    ] = None,
    model: Annotated[str, typer.Option(metavar="NAME", help="A model's name or folder.")] = BUNDLED,
    system: Annotated[
        SystemName,
        typer.Option(help="Nearest vectors; every pair by the joint layers; first one, then the other; two models."),
    ] = SystemName.coop,
    reranker: Annotated[
        str | None, typer.Option(metavar="NAME", help="The second model of the system `separate`.")
    ] = None,
    candidates: Annotated[int, typer.Option(min=1, max=100, metavar="N", help="Number of candidates to rerank.")] = 20,
    blend: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="Share of the cosine in the score that orders the candidates."
        ),
    ] = 0.0,
    distractors: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder of more pictures for the pool, which no caption fits.")
    ] = None,
    language: Languages = None,
    split: Split = None,
    folds: Annotated[
        int, typer.Option(min=1, metavar="N", help="Measure in N pools, such as COCO's 5,000 in five.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Measure a model's retrieval, from texts to pictures and from pictures to texts.

    Pictures are read once and kept in 8 bits, as a library keeps them. Those that cannot be read are named and skipped
    with their captions. Captions without a language are English, and captions without a split belong to train, unless
    an option or the layout of xFlickrCO or Multi30k says otherwise.

    \b
    Examples:
      polyglance evaluate retrieval --data scenes/captions.jsonl --system coop
      polyglance evaluate retrieval --data dataset_coco.json --images coco --model my-model --folds 5
    """
    from polyglance.data.images import find_pictures
    from polyglance.evaluation.report import retrieval_report
    from polyglance.evaluation.runs import merged
    from polyglance.evaluation.systems import Evaluation, System
    from polyglance.models import load_model

    if (system == SystemName.separate) != (reranker is not None):
        raise typer.BadParameter("--reranker NAME belongs to --system separate, which needs it")
    if blend and system in (SystemName.twin, SystemName.cross):
        raise typer.BadParameter("--blend mixes two scores: it belongs to --system coop and separate")
    measured = [fold for pool in wanted_pools(data, split, language or [], images, True) for fold in pool.folds(folds)]
    more = [Path(path) for path in find_pictures([distractors]).paths] if distractors else []
    loaded = load_model(model)
    chosen = {
        SystemName.twin: lambda: System(loaded, None, candidates),
        SystemName.cross: lambda: System(None, loaded, candidates),
        SystemName.coop: lambda: System(loaded, loaded, candidates, blend),
        SystemName.separate: lambda: System(loaded, load_model(reranker or ""), candidates, blend),
    }[system]()
    with stages() as report:
        evaluation = Evaluation(chosen, measured, more, report)
        scores = merged(evaluation.scores())
        spent = evaluation.milliseconds(evaluation.pools[0])
    found = {**retrieval_report(scores, spent), "skipped": evaluation.skipped}
    warn_skipped(evaluation.skipped)
    if as_json:
        print_json(found)
    else:
        show_report(found)


@app.command()
def run(
    data: Data,
    run: Annotated[
        str | None, typer.Option(metavar="FILE", help="Ranked lists; {language} in the name stands for each language.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None, typer.Option(metavar="A B", help="Two runs: is B better than A, or is it noise?")
    ] = None,
    language: Languages = None,
    split: Split = None,
    image_to_text: Annotated[
        bool, typer.Option("--image-to-text", help="Queries are pictures, items are captions.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Judge ranked lists that were made elsewhere.

    A run has the form of IGLUE (JSON with the positions of each query's items, best first) or of TREC. A query without
    a result is a miss.

    \b
    Examples:
      polyglance evaluate run --data captions.jsonl --run ranked.json
      polyglance evaluate run --data xflickrco/annotations --run 'zero_shot/uc2/test_{language}_0_result.json'
      polyglance evaluate run --data captions.jsonl --compare before.json after.json
    """
    from polyglance.evaluation.report import comparison_report, retrieval_report
    from polyglance.evaluation.runs import compare as differences
    from polyglance.evaluation.runs import read_run, score

    if (run is None) == (compare is None):
        raise typer.BadParameter("name one run with --run FILE, or two with --compare A B")
    measured = wanted_pools(data, split, language or [])
    named = [run] if run is not None else list(compare or ())
    if len(measured) > 1 and not all(LANGUAGE in name for name in named):
        codes = ", ".join(pool.language for pool in measured)
        raise typer.BadParameter(
            f"the data is in {codes}: choose with --language, or write {LANGUAGE} in the file's name"
        )
    direction: Any = "image_to_text" if image_to_text else "text_to_image"

    def judged(name: str) -> list["Scores"]:
        return [
            score(read_run(Path(name.replace(LANGUAGE, pool.language)), pool, direction), pool, direction)
            for pool in measured
        ]

    if compare is not None:
        both = zip(judged(compare[0]), judged(compare[1]), strict=True)
        report = comparison_report({a.language: differences(a, b) for a, b in both})
        print_json(report) if as_json else show_comparison(report)
        return
    scores = judged(named[0])
    report = retrieval_report(scores)
    print_json(report) if as_json else show_report(report)


def wanted_pools(
    data: Path, split: SplitName | None, languages: list[str], images: Path | None = None, with_pictures: bool = False
) -> tuple["Pool", ...]:
    from polyglance.data.captions import read_captions
    from polyglance.evaluation.pools import pools

    captions = read_wanted(partial(read_captions, data, images, with_pictures), languages, split)
    return pools(captions, measured_split(captions, split), languages)


def show_report(report: dict[str, Any]) -> None:
    """Prints a table for each direction, with a row for each language and the mean last, and the interval of R@1."""
    output = console()
    for direction in ("text_to_image", "image_to_text"):
        if not (mean := report[direction]):
            continue
        shown = table(
            "language", *mean, "95 % of R@1", numbers=[*mean, "95 % of R@1"], title=direction.replace("_", " ")
        )
        for language, found in report["by_language"].items():
            low, high = found[direction]["intervals"]["R@1"]
            shown.add_row(language, *(f"{found[direction][name]:.2f}" for name in mean), f"{low:.1f} to {high:.1f}")
        if len(report["by_language"]) > 1:
            shown.add_row("mean", *(f"{value:.2f}" for value in mean.values()), "")
        output.print(shown)
    if report["missing"]:
        first = ", ".join(f"{one['language']} {one['query']}" for one in report["missing_queries"][:20])
        found = f"queries without a result, which count as misses: {report['missing']:,} ({first})"
        output.print(found, style="yellow")
    if report["milliseconds"]:
        output.print(f"a text at a time: {times(report['milliseconds'])}", style="dim")
