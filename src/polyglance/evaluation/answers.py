"""Answers to questions, made by a model or elsewhere, judged as xGQA judges them: by exact equality (arXiv:2109.06082).

A question without an answer counts as wrong, so that a denominator never shrinks.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from polyglance.data.predictions import LANGUAGE, find_predictions, read_predictions
from polyglance.data.questions import Question, by_language
from polyglance.errors import DataError
from polyglance.evaluation.measures import Difference, Interval, difference, interval

SOURCE: Final = "en"
"""The language that a transfer starts from, which the mean over languages leaves out."""
KINDS: Final = ("structural", "semantic")
NEEDS_TYPES: Final = "questions with \"types\", as GQA's and xGQA's files have them"

Kind = Literal["structural", "semantic"]


@dataclass(frozen=True, eq=False)
class AnswerScores:
    """Answers to the questions of one language, judged.

    questions: those that count. asked: all, by their ids. given: answers by the ids of questions.
    """

    language: str
    questions: tuple[Question, ...]
    asked: Mapping[str, Question]
    given: Mapping[str, str]

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Of each question."""
        return np.array([question.answer == self.given.get(question.id) for question in self.questions])

    @property
    def missing(self) -> list[str]:
        """The ids of questions without an answer."""
        return [question.id for question in self.questions if question.id not in self.given]

    @property
    def accuracy(self) -> float:
        return _accuracy(self.right)

    @property
    def pictures(self) -> list[Path]:
        return [question.image for question in self.questions]

    @cached_property
    def interval(self) -> Interval:
        """Of the accuracy. Questions about one picture are no independent trials: pictures are drawn."""
        return interval(self.right.tolist(), self.pictures)

    def by(self, kind: Kind) -> dict[str, float]:
        """The accuracy of each type of question; of those that have none nothing is said."""
        return _by(kind, [self])


def score_answers(
    language: str, questions: Sequence[Question], answers: Mapping[str, str], left_out: Collection[str] = ()
) -> AnswerScores:
    """answers: by the ids of the questions. left_out: ids of questions that may be answered, and do not count.

    Questions that are not balanced do not count either. Raises DataError for answers to other questions.
    """
    asked = {question.id: question for question in questions}
    counted = tuple(one for one in questions if one.balanced and one.id not in left_out)
    if not counted:
        raise DataError(f"expected questions in {language} to score, but all of {len(questions):,} are left out")
    if unknown := [key for key in answers if key not in asked and key not in left_out]:
        raise DataError(
            f"expected answers in {language} to the {len(asked):,} questions that are asked, but {len(unknown):,} of "
            f"{len(answers):,} are to others, such as {', '.join(unknown[:3])}: is it another split?"
        )
    return AnswerScores(language, counted, asked, answers)


def score_files(name: str, gold: Sequence[Question], left_out: Collection[str] = ()) -> list[AnswerScores]:
    """Predictions in files, a file a language: see `find_predictions`.

    gold: questions of one language serve all, as the answers of xGQA do; those of several serve each its own. Raises
    DataError for a language without questions, and as `score_answers`.
    """
    asked = by_language(gold)
    scores = []
    for found, path in find_predictions(name).items():
        if found is None and len(asked) > 1:
            raise DataError(
                f"{path}: expected to know which of {', '.join(asked)} it answers: name each language's file by "
                f"{LANGUAGE}, as in 'test_{LANGUAGE}.json'"
            )
        language = found or next(iter(asked))
        if language not in asked and len(asked) > 1:
            raise DataError(f"{path}: expected predictions in {', '.join(asked)}, as the questions are, got {language}")
        answers = read_predictions(path)
        try:
            scores.append(score_answers(language, asked.get(language, gold), answers, left_out))
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
    return scores


def compare_answers(a: Sequence[AnswerScores], b: Sequence[AnswerScores]) -> dict[str, dict[str, Difference]]:
    """By language the accuracy of B less that of A. Raises DataError where they are not in the same languages."""
    first, second = ({one.language: one for one in scores} for scores in (a, b))
    if first.keys() != second.keys():
        raise DataError(f"expected A and B in the same languages, got {', '.join(first)} and {', '.join(second)}")
    return {
        language: {"accuracy": difference(one.right.tolist(), second[language].right.tolist(), one.pictures)}
        for language, one in first.items()
    }


def agreement(scores: Sequence[AnswerScores]) -> dict[str, float]:
    """For each language, in how many of 100 pairs of a question in it and the same in another the answers are one.

    It needs no right answer. Over the ids that all of the languages have; none without two such languages.
    """
    shared = set.intersection(*({one.id for one in language.questions} for language in scores))
    if len(scores) < 2 or not shared:
        return {}
    given = {one.language: np.array([one.given.get(key, "") for key in sorted(shared)]) for one in scores}
    alike: dict[str, list[float]] = {language: [] for language in given}
    for one, other in combinations(given, 2):
        same = _accuracy((given[one] == given[other]) & (given[one] != ""))
        alike[one].append(same)
        alike[other].append(same)
    return {language: fmean(values) for language, values in alike.items()}


def answer_report(scores: Sequence[AnswerScores]) -> dict[str, Any]:
    """Percent, over all questions and for each language, with intervals of 95 %.

    missing: questions without an answer; missing_questions: which. mean_without_source: over the languages but English,
    None without another. needs: what is None because the questions do not say enough, and what they would have to say.
    """
    others = [one.accuracy for one in scores if one.language != SOURCE]
    alike = agreement(scores)
    kinds: dict[str, Any] = {f"by_{kind}": _by(kind, scores) or None for kind in KINDS}
    return {
        "questions": sum(len(one.questions) for one in scores),
        "missing": sum(len(one.missing) for one in scores),
        "missing_questions": [{"language": one.language, "question": key} for one in scores for key in one.missing],
        "accuracy": overall_accuracy(scores),
        "mean_without_source": fmean(others) if others else None,
        "agreement": fmean(alike.values()) if alike else None,
        "by_language": {
            one.language: {
                "questions": len(one.questions),
                "missing": len(one.missing),
                "accuracy": one.accuracy,
                "interval": [one.interval.low, one.interval.high],
                "agreement": alike.get(one.language),
                **{f"by_{kind}": one.by(kind) or None for kind in KINDS},
            }
            for one in scores
        },
        **kinds,
        "needs": {name: NEEDS_TYPES for name, found in kinds.items() if found is None},
    }


def overall_accuracy(scores: Sequence[AnswerScores]) -> float:
    """Over the questions of all languages."""
    return _accuracy(np.concatenate([one.right for one in scores]))


def _accuracy(right: NDArray[np.bool_]) -> float:
    return 100 * float(right.mean())


def _by(kind: Kind, scores: Sequence[AnswerScores]) -> dict[str, float]:
    found: dict[str, list[bool]] = {}
    for one in scores:
        for question, right in zip(one.questions, one.right.tolist(), strict=True):
            if (name := getattr(question.types, kind)) is not None:
                found.setdefault(name, []).append(right)
    return {name: _accuracy(np.array(found[name])) for name in sorted(found)}
