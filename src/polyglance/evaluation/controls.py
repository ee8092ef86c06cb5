"""A model's answers to questions about pictures, and the controls to compare them with.

The controls are the same model with a blank picture and with another picture, and the most frequent answer to each type
of question.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from jaxtyping import Int
from torch import Tensor

from polyglance.data.questions import Question, by_language
from polyglance.evaluation.answers import AnswerScores, answer_report, overall_accuracy, score_answers
from polyglance.models.protocol import Answerer
from polyglance.models.reading import read_readable
from polyglance.nn.states import TokenStates
from polyglance.types import StageProgress, Text

QUESTIONS: Final = 256
"""The number of questions per batch."""


@dataclass(frozen=True)
class Answered:
    """A model's answers to questions.

    questions: those with a readable picture. skipped: the other pictures, with the reasons. shuffled: the answers with
    another picture; None if there is only one.
    """

    questions: tuple[Question, ...]
    skipped: dict[str, str]
    own: tuple[str, ...]
    blank: tuple[str, ...]
    shuffled: tuple[str, ...] | None


def answer_questions(
    model: Answerer, questions: Sequence[Question], report: StageProgress | None = None, seed: int = 0
) -> Answered:
    """Answers questions, reading each picture and each question once; pictures are kept in 8 bits, as in a library.

    Questions about unreadable pictures are skipped. Raises DataError if no picture can be read.
    """
    paths = list(dict.fromkeys(question.image for question in questions))
    progress = partial(_tell, report, "reading pictures") if report else None
    pictures, failed = read_readable(model, paths, progress, as_stored=True)
    paths = [path for path in paths if path not in failed]
    questions = [question for question in questions if question.image not in failed]
    row_of = {path: row for row, path in enumerate(paths)}
    rows = torch.tensor([row_of[question.image] for question in questions])
    own, blank, shuffled = answers_about(model, questions, pictures, rows, report, seed)
    return Answered(tuple(questions), {str(path): reason for path, reason in failed.items()}, own, blank, shuffled)


def answers_about(
    model: Answerer,
    questions: Sequence[Question],
    pictures: TokenStates,
    picture_of: Int[Tensor, " questions"],
    report: StageProgress | None = None,
    seed: int = 0,
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...] | None]:
    """Returns the answers with the own picture, with a blank picture and with another picture, as in `Answered`.

    picture_of: the row of each question's picture in `pictures`.
    """
    blank = model.read([model.empty_picture()])
    blank = TokenStates.load(blank.store(), "image", model.device)
    seen = [(pictures, picture_of), (blank, torch.zeros_like(picture_of))]
    if len(pictures) > 1:
        seen.append((pictures, _others(len(pictures), seed)[picture_of]))
    said = answers_beside(model, questions, seen, report)
    return said[0], said[1], said[2] if len(said) > 2 else None


def answers_beside(
    model: Answerer,
    questions: Sequence[Question],
    seen: Sequence[tuple[TokenStates, Int[Tensor, " questions"]]],
    report: StageProgress | None = None,
) -> list[tuple[str, ...]]:
    """Returns the answers beside each choice of pictures.

    seen: for each choice, states of pictures and the row of each question's picture.
    """
    answered: list[list[int]] = [[] for _ in seen]
    for start in range(0, len(questions), QUESTIONS):
        asked = questions[start : start + QUESTIONS]
        texts = model.read([Text(one.question, one.language) for one in asked])
        for found, (states, rows) in zip(answered, seen, strict=True):
            found += model.answer_logits(texts, states[rows[start : start + QUESTIONS]]).argmax(dim=-1).tolist()
        if report:
            _tell(report, "answering", start + len(asked), len(questions))
    return [tuple(model.answers[index] for index in found) for found in answered]


def most_frequent(questions: Sequence[Question], counted: Sequence[Question]) -> tuple[str, ...]:
    """Returns the most frequent answer to each question's structural type.

    counted: the questions with the answers to count. All of them count for a type that does not occur among them.
    """
    answers: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
    for question in counted:
        answers[question.types.structural][question.answer] += 1
    overall = sum(answers.values(), Counter[str]())
    commonest = {kind: counts.most_common(1)[0][0] for kind, counts in answers.items()}
    return tuple(commonest.get(question.types.structural, overall.most_common(1)[0][0]) for question in questions)


def scores_by_language(questions: Sequence[Question], answers: Sequence[str]) -> list[AnswerScores]:
    """Scores answers for each language. answers: one per question."""
    given = {(one.language, one.id): answer for one, answer in zip(questions, answers, strict=True)}
    return [
        score_answers(language, asked, {one.id: given[language, one.id] for one in asked})
        for language, asked in by_language(questions).items()
    ]


def controlled_report(
    scores: Sequence[AnswerScores], controls: Mapping[str, Sequence[AnswerScores] | None], known: Collection[str]
) -> dict[str, Any]:
    """Returns `answer_report` with the accuracies of the controls, and the right answers that the model cannot give.

    controls: by name, for the same questions; None for a control that is not available. known: the answers that can be
    given; questions with any other right answer count as wrong.
    """
    report = answer_report(scores)
    for one in (report, *report["by_language"].values()):
        one["controls"] = dict.fromkeys(controls)
    for name, judged in controls.items():
        if judged is not None:
            report["controls"][name] = overall_accuracy(judged)
            for control in judged:
                report["by_language"][control.language]["controls"][name] = control.accuracy
    outside = Counter(one.answer for language in scores for one in language.questions if one.answer not in known)
    report["outside_vocabulary"] = {"questions": outside.total(), "answers": list(outside)}
    return report


def _tell(report: StageProgress, stage: str, done: int, total: int) -> None:
    report(stage, done, total, {})


def _others(pictures: int, seed: int) -> Int[Tensor, " pictures"]:
    """Returns a different picture for each picture, using each once: the next one on a random cycle."""
    way = random.Random(seed).sample(range(pictures), pictures)
    other = torch.empty(pictures, dtype=torch.long)
    other[way] = torch.tensor([*way[1:], way[0]])
    return other
