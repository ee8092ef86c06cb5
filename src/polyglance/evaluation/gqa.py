"""GQA's metrics other than accuracy (arXiv:1902.09506, section 4.4), computed as by its public scorer, and a metric
from scene graphs.

Each needs information from the question file or another file and is None without it.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from polyglance.data.forms import Form, MaybeEmpty, checked
from polyglance.data.lines import named, parse_all, read_json, short
from polyglance.data.questions import Question
from polyglance.data.scene_graphs import SceneGraph
from polyglance.errors import DataError
from polyglance.evaluation.answers import AnswerScores

_CHOICES: Final = "a file of choices (--choices), as GQA's val_choices.json"
NEEDS: Final = {
    "consistency": 'questions that say which others they entail ("entailed"), those among them, and right answers',
    "validity": _CHOICES,
    "plausibility": _CHOICES,
    "distribution": 'questions that say what their answer is one of ("groups": {"global"})',
    "in_picture": "a file of scene graphs (--scene-graphs), as GQA's val_sceneGraphs.json, and open questions",
}
_COMMON: Final = ("color", "material", "shape")
"""The answers to questions about what two things have in common."""

Metric = float | dict[str, float] | None


class _Choices(Form):
    valid: list[MaybeEmpty]
    plausible: list[MaybeEmpty]


@dataclass(frozen=True)
class Choices:
    """The valid answers to a question, and the plausible ones."""

    valid: frozenset[str]
    plausible: frozenset[str]


def read_choices(path: Path) -> dict[str, Choices]:
    """Reads the choices by question id from {"ID": {"valid": [...], "plausible": [...]}}.

    Raises DataError if the file has another form.
    """
    document = read_json(path, "choices")
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected an object of choices by question id, got {short(document)}")
    rows = ((f"question {key}", row) for key, row in document.items())
    parsed = parse_all(path, rows, lambda _, row: checked(_Choices, row)).values()
    return {
        key: Choices(frozenset(row.valid), frozenset(row.plausible)) for key, row in zip(document, parsed, strict=True)
    }


def gqa_metrics(
    scores: AnswerScores,
    choices: Mapping[str, Choices] | None = None,
    graphs: Mapping[str, SceneGraph] | None = None,
) -> dict[str, Metric]:
    """Returns all metrics, in percent except for the distribution (lower is better); None if one cannot be computed."""
    return {
        "consistency": _consistency(scores),
        "validity": _among(scores, choices, "valid"),
        "plausibility": _among(scores, choices, "plausible"),
        "distribution": _distribution(scores),
        "in_picture": _in_picture(scores, graphs),
    }


def _consistency(scores: AnswerScores) -> float | None:
    """Returns the percentage of right answers to questions entailed by questions that are answered right."""
    shares = []
    for question, right in zip(scores.questions, scores.right.tolist(), strict=True):
        entailed = [key for key in question.entailed if key != question.id and key in scores.asked]
        if right and entailed:
            shares.append(fmean(scores.given.get(key) == scores.asked[key].answer for key in entailed))
    return 100 * fmean(shares) if shares else None


def _among(scores: AnswerScores, choices: Mapping[str, Choices] | None, kind: str) -> float | None:
    """Returns the percentage of answers among a question's choices. Raises DataError for questions without choices."""
    if choices is None:
        return None
    if lost := [one.id for one in scores.questions if one.id not in choices]:
        raise DataError(f"expected choices for every question, but there are none for {named(lost)}")
    return 100 * fmean(scores.given.get(one.id) in _allowed(one, choices[one.id], kind) for one in scores.questions)


def _allowed(question: Question, choices: Choices, kind: str) -> frozenset[str] | tuple[str, ...]:
    if "Common" in (question.types.detailed or ""):
        return _COMMON
    allowed: frozenset[str] = getattr(choices, kind)
    return allowed


def _distribution(scores: AnswerScores) -> float | None:
    """Returns the chi-square of given and right answers in each group, averaged by group size and divided by 100."""
    gold: defaultdict[str, Counter[str]] = defaultdict(Counter)
    given: defaultdict[str, Counter[str | None]] = defaultdict(Counter)
    for question in scores.questions:
        if question.group is not None:
            gold[question.group][question.answer] += 1
            given[question.group][scores.given.get(question.id)] += 1
    if not gold:
        return None
    weighted = [
        counts.total() * sum((given[group][answer] - count) ** 2 / count for answer, count in counts.items())
        for group, counts in gold.items()
    ]
    return sum(weighted) / sum(counts.total() for counts in gold.values()) / 100


def _in_picture(scores: AnswerScores, graphs: Mapping[str, SceneGraph] | None) -> dict[str, float] | None:
    """Returns the percentages of given and of right answers to open questions that name something in the picture.

    A question is open if its right answer is not yes, no or a number. Raises DataError for pictures without a scene
    graph.
    """
    asked = [one for one in scores.questions if one.answer not in ("yes", "no") and not one.answer.isdigit()]
    if graphs is None or not asked:
        return None
    if lost := [name for name in dict.fromkeys(one.image.stem for one in asked) if name not in graphs]:
        raise DataError(f"expected a scene graph of every picture, but there is none of {named(lost)}")
    return {
        "answers": 100 * fmean(graphs[one.image.stem].shows(scores.given.get(one.id, "")) for one in asked),
        "right_answers": 100 * fmean(graphs[one.image.stem].shows(one.answer) for one in asked),
    }


def with_metrics(report: dict[str, Any], metrics: Mapping[str, Mapping[str, Metric]]) -> dict[str, Any]:
    """Adds metrics to a report of answers: those of each language, their means, and what the missing ones need."""
    for language, found in metrics.items():
        report["by_language"][language] |= found
    for name, needed in NEEDS.items():
        report[name] = _mean([value for found in metrics.values() if (value := found[name]) is not None])
        if report[name] is None:
            report["needs"][name] = needed
    return report


def _mean(values: Sequence[float | dict[str, float]]) -> Metric:
    """Returns the mean, or the mean of each named figure; None without values."""
    rows = [value for value in values if isinstance(value, dict)]
    if rows:
        return {name: fmean(row[name] for row in rows) for name in rows[0]}
    return fmean(value for value in values if not isinstance(value, dict)) if values else None
