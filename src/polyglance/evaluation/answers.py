"""Scores answers to questions by exact match, as xGQA does (arXiv:2109.06082).

A question without an answer counts as wrong, so that every question counts.
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
"""The source language of a transfer, which is excluded from the mean over languages."""
TYPINGS: Final = ("structural", "semantic")
NEEDS_TYPES: Final = "questions with \"types\", as GQA's and xGQA's files have them"

QuestionTyping = Literal["structural", "semantic"]


@dataclass(frozen=True, eq=False)
class AnswerScores:
    """Scored answers to the questions of one language.

    questions: those that count. asked: all questions by id. given: the answers by question id.
    """

    language: str
    questions: tuple[Question, ...]
    asked: Mapping[str, Question]
    given: Mapping[str, str]

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether the answer to each question is right."""
        return np.array([question.answer == self.given.get(question.id) for question in self.questions])

    @property
    def missing(self) -> list[str]:
        """The ids of the questions without an answer."""
        return [question.id for question in self.questions if question.id not in self.given]

    @property
    def accuracy(self) -> float:
        return _accuracy(self.right)

    @property
    def pictures(self) -> list[Path]:
        return [question.image for question in self.questions]

    @cached_property
    def interval(self) -> Interval:
        """The interval of the accuracy, by resampling pictures: questions about the same picture are not
        independent."""
        return interval(self.right.tolist(), self.pictures)

    def by(self, kind: QuestionTyping) -> dict[str, float]:
        """The accuracy of each type of question; questions without a type are left out."""
        return _by(kind, [self])


def score_answers(
    language: str, questions: Sequence[Question], answers: Mapping[str, str], left_out: Collection[str] = ()
) -> AnswerScores:
    """Scores the answers to the questions of one language.

    answers: by question id. left_out: ids of questions that do not count; neither do unbalanced questions.

    Raises DataError if there are answers to other questions.
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
    """Scores predictions in files, one per language.

    name: as in `find_predictions`. gold: the questions; those of a single language are used for all languages, as in
    xGQA, otherwise each language has its own. left_out: as in `score_answers`.

    Raises DataError if a language has no questions, or there are answers to other questions.
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
    """Returns the accuracy of B minus that of A for each language.

    Raises DataError if A and B are in different languages.
    """
    first, second = ({one.language: one for one in scores} for scores in (a, b))
    if first.keys() != second.keys():
        raise DataError(f"expected A and B in the same languages, got {', '.join(first)} and {', '.join(second)}")
    return {
        language: {"accuracy": difference(one.right.tolist(), second[language].right.tolist(), one.pictures)}
        for language, one in first.items()
    }


def agreement(scores: Sequence[AnswerScores]) -> dict[str, float]:
    """Returns for each language the percentage of questions with the same answer in another language.

    It is the mean over the other languages and needs no right answers. Only ids that all languages have are compared;
    the result is empty if there are fewer than two languages.
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
    """Returns the accuracy in percent over all questions and for each language, with 95 % intervals.

    missing: the number of questions without an answer. missing_questions: their ids. mean_without_source: the mean over
    all languages except English; None if there is no other. needs: for each figure that is None because the questions
    lack information, the information it needs.
    """
    others = [one.accuracy for one in scores if one.language != SOURCE]
    alike = agreement(scores)
    kinds: dict[str, Any] = {f"by_{kind}": _by(kind, scores) or None for kind in TYPINGS}
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
                **{f"by_{kind}": one.by(kind) or None for kind in TYPINGS},
            }
            for one in scores
        },
        **kinds,
        "needs": {name: NEEDS_TYPES for name, found in kinds.items() if found is None},
    }


def overall_accuracy(scores: Sequence[AnswerScores]) -> float:
    """Returns the accuracy over the questions of all languages."""
    return _accuracy(np.concatenate([one.right for one in scores]))


def _accuracy(right: NDArray[np.bool_]) -> float:
    return 100 * float(right.mean())


def _by(kind: QuestionTyping, scores: Sequence[AnswerScores]) -> dict[str, float]:
    found: dict[str, list[bool]] = {}
    for one in scores:
        for question, right in zip(one.questions, one.right.tolist(), strict=True):
            if (name := getattr(question.types, kind)) is not None:
                found.setdefault(name, []).append(right)
    return {name: _accuracy(np.array(found[name])) for name in sorted(found)}
