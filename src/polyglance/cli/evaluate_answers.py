"""The commands that measure answers to questions: a model's, and those given elsewhere."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyglance.cli.options import Json, Languages, Split, measured_split, read_wanted
from polyglance.cli.output import console, one_line, print_json, show_comparison, stages, table, warn_skipped
from polyglance.data.lines import Split as SplitName
from polyglance.models import BUNDLED

if TYPE_CHECKING:
    from polyglance.data.questions import Question

_QUESTIONS = "as JSON Lines, GQA's object or IGLUE's list"
METRICS = ("consistency", "validity", "plausibility", "distribution", "in_picture")
"""The measures besides accuracy, where the data allows them."""


def vqa(
    data: Annotated[
        list[Path], typer.Option(metavar="FILE", help=f"Questions, {_QUESTIONS}; repeat the option for more files.")
    ],
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of the pictures. [default: the folder of the questions]"),
    ] = None,
    model: Annotated[str, typer.Option(metavar="NAME", help="A model's name or folder.")] = BUNDLED,
    language: Languages = None,
    split: Split = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="Answer without pictures, by the words of the questions of the split train.")
    ] = False,
    predictions: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Also write the answers there; {language} in the name stands for each one."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a model's answers by language and by type of question, and compare them with three controls.

    The controls are the same model with blank pictures, the same model with shuffled pictures, and the most common
    answer to each structural type in the split train, or else among the questions themselves. With --blind, a bag of
    the question's subwords answers instead of the model: any model that sees pictures must do better.

    \b
    Examples:
      polyglance evaluate vqa --data scenes/questions.jsonl --model my-model
      polyglance evaluate vqa --data de/train_48.json --data de/dev.json --split val --blind
    """
    from polyglance.data.predictions import LANGUAGE, write_predictions
    from polyglance.data.questions import by_language, check_ids, check_pictures, of_split, read_questions

    def read_all(language: str | None, split: SplitName | None) -> "list[Question]":
        return [question for path in data for question in read_questions(path, images, False, language, split)]

    read = read_wanted(read_all, language or [], split)
    chosen = measured_split(read, split)
    check_ids(read, ", ".join(map(str, data)))
    asked = in_languages(of_split(read, chosen), language or [])
    languages = by_language(asked)
    if predictions is not None and len(languages) > 1 and LANGUAGE not in predictions:
        raise typer.BadParameter(f"the questions are in {', '.join(languages)}: write {LANGUAGE} in the file's name")
    if blind and chosen == "train":
        raise typer.BadParameter("--blind learns from the split train: choose another one with --split")
    train = [] if chosen == "train" else [question for question in read if question.split == "train"]
    if not blind:
        check_pictures(asked)
    from polyglance.evaluation.controls import answer_questions, controlled_report, most_frequent, scores_by_language
    from polyglance.models import load_model
    from polyglance.models.capabilities import as_chooser, as_subword_reader
    from polyglance.training.blind import answer_blind

    loaded = load_model(model)
    given: dict[str, Sequence[str] | None] = {}
    skipped: dict[str, str] = {}
    if blind:
        answers, known = (
            answer_blind(as_subword_reader(loaded), of_split(read, "train"), asked),
            {one.answer for one in train},
        )
    else:
        with stages() as report:
            chooser = as_chooser(loaded)
            answered = answer_questions(chooser, asked, report)
        asked, skipped = list(answered.questions), answered.skipped
        answers, known = answered.own, set(chooser.answers)
        given = {"blank": answered.blank, "shuffled": answered.shuffled}
    given["most_frequent"] = most_frequent(asked, train or asked)
    controls = {name: scores_by_language(asked, one) if one else None for name, one in given.items()}
    scores = scores_by_language(asked, answers)
    if predictions is not None:
        for one in scores:
            write_predictions(Path(predictions.replace(LANGUAGE, one.language)), one.given)
    found = {
        "model": None if blind else loaded.name,
        "split": chosen,
        **controlled_report(scores, controls, known),
        "most_frequent_of": "train" if train else chosen,
        "skipped": skipped,
    }
    warn_skipped(skipped)
    print_json(found) if as_json else show_answers(found)


def xgqa(
    gold: Annotated[Path, typer.Option(metavar="FILE", help=f"The questions with their answers, {_QUESTIONS}.")],
    predictions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE_OR_FOLDER",
            help="Predictions in GQA's form, a file a language; {language} in the name stands for each one.",
        ),
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Two sets of predictions: is B better than A, or is it noise?"),
    ] = None,
    exclude: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Questions to leave out; repeat the option for more files."),
    ] = None,
    choices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="GQA's choices, for validity and plausibility.")
    ] = None,
    scene_graphs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="GQA's scene graphs, for answers that the picture does not show."),
    ] = None,
    split: Annotated[SplitName | None, typer.Option(help="The split to judge. [default: all questions]")] = None,
    as_json: Json = False,
) -> None:
    """Judge answers that were made elsewhere by exact equality, as xGQA and GQA do.

    A question without a prediction counts as wrong. The answers of xGQA are the same in all languages, so the questions
    of one language serve for predictions in any. The language of a file comes from a name in IGLUE's form, such as
    test_de_0_result.json, or from {language} in the option; otherwise it is the language of the questions.

    \b
    Examples:
      polyglance evaluate xgqa --gold testdev.json --exclude dev.json --exclude train_48.json --predictions uc2
      polyglance evaluate xgqa --gold de/dev.json --compare a/test_{language}.json b/test_{language}.json
    """
    from polyglance.data.questions import of_split, read_questions
    from polyglance.data.scene_graphs import read_scene_graphs
    from polyglance.evaluation.answers import answer_report, compare_answers, score_files
    from polyglance.evaluation.gqa import gqa_metrics, read_choices, with_metrics
    from polyglance.evaluation.report import comparison_report

    if (predictions is None) == (compare is None):
        raise typer.BadParameter("name predictions with --predictions, or two sets of them with --compare A B")
    read = read_wanted(partial(read_questions, gold, None, False), [], split)
    asked = of_split(read, split) if split else read
    left_out = {one.id for path in exclude or [] for one in read_questions(path, with_pictures=False)}
    chosen = read_choices(choices) if choices else None
    graphs = read_scene_graphs(scene_graphs) if scene_graphs else None
    if compare is not None:
        a, b = (score_files(name, asked, left_out) for name in compare)
        compared = comparison_report(compare_answers(a, b))
        print_json(compared) if as_json else show_comparison(compared)
        return
    scores = score_files(predictions or "", asked, left_out)
    found = with_metrics(answer_report(scores), {one.language: gqa_metrics(one, chosen, graphs) for one in scores})
    print_json(found) if as_json else show_answers(found)


def in_languages(questions: "Sequence[Question]", wanted: "Sequence[str]") -> "list[Question]":
    """Returns the questions in these languages, or all questions if none is named.

    Raises:
        DataError: a language has no questions.
    """
    from polyglance.errors import DataError

    there = dict.fromkeys(question.language for question in questions)
    if missing := [code for code in wanted if code not in there]:
        raise DataError(f"expected questions in {', '.join(missing)}, but there are only those in {', '.join(there)}")
    return [question for question in questions if question.language in (wanted or there)]


def show_answers(report: dict[str, Any]) -> None:
    """Prints a row for each language with its controls, then the types, missing answers and unavailable measures."""
    output = console()
    controls = list(report.get("controls", {}))
    metrics = [name for name in METRICS if report.get(name) is not None]
    numbers = ["questions", "accuracy", "95 %", *(name.replace("_", " ") for name in (*controls, *metrics))]
    shown = table("language", *numbers, numbers=numbers)
    for language, one in report["by_language"].items():
        low, high = one["interval"]
        cells = [*(one.get("controls", {}).get(name) for name in controls), *(one[name] for name in metrics)]
        shown.add_row(
            one_line(language),
            f"{one['questions']:,}",
            cell(one["accuracy"]),
            f"{low:.1f} to {high:.1f}",
            *map(cell, cells),
        )
    if len(report["by_language"]) > 1:
        cells = [*(report["controls"][name] for name in controls), *(report[name] for name in metrics)]
        shown.add_row("all", f"{report['questions']:,}", cell(report["accuracy"]), "", *map(cell, cells))
    output.print(shown)
    if report.get("in_picture") is not None:
        right = report["in_picture"]["right_answers"]
        output.print(f"right answers to open questions that the scene graphs show: {right:.2f}")
    if report["agreement"] is not None:
        output.print(f"the same answer to a question in two languages: {report['agreement']:.2f}")
    if report["mean_without_source"] is not None:
        output.print(f"mean of the languages without English: {report['mean_without_source']:.2f}")
    for kind in ("by_structural", "by_semantic"):
        if report[kind]:
            types = ", ".join(f"{one_line(name)} {value:.2f}" for name, value in report[kind].items())
            output.print(f"{kind.replace('_', ' ')} type: {types}")
    if report["missing"]:
        first = ", ".join(f"{one['language']} {one_line(one['question'])}" for one in report["missing_questions"][:20])
        output.print(
            f"questions without a prediction, which count as wrong: {report['missing']:,} ({first})", style="yellow"
        )
    outside = report.get("outside_vocabulary", {"questions": 0})
    if outside["questions"]:
        first = ", ".join(map(one_line, outside["answers"][:20]))
        output.print(
            f"questions whose answer cannot be given, which count as wrong: {outside['questions']:,} ({first})",
            style="yellow",
        )
    if "most_frequent_of" in report:
        output.print(f"most frequent: of each structural type in the split {report['most_frequent_of']}", style="dim")
    for name, needed in report["needs"].items():
        output.print(f"{name.replace('_', ' ')} needs {needed}", style="dim")


def cell(value: float | dict[str, float] | None) -> str:
    """A figure; of one that stands beside that of the right answers, the one of the answers given."""
    if isinstance(value, dict):
        value = value["answers"]
    return "" if value is None else f"{value:.2f}"
