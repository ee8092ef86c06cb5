"""A model that answers by the words of a question alone: what any model that sees pictures must be better than.

Softmax regression on a bag of subwords; a few seconds a language on one core, the same each time.
"""

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from polyglance.data.questions import Question, by_language
from polyglance.errors import DataError
from polyglance.models.protocol import SubwordReader

STEPS: Final = 100
LEARNING_RATE: Final = 0.05
DECAY: Final = 3e-4
"""Of the squared weights; by cross-validation over the pictures of xGQA's English train_48."""


def answer_blind(model: SubwordReader, trained_on: Sequence[Question], asked: Sequence[Question]) -> tuple[str, ...]:
    """For each question asked, the most probable of the answers that training in its language had.

    model: whose subwords are counted; nothing else of it. Raises DataError for a language without questions to train
    on.
    """
    train = by_language(trained_on)
    found: dict[tuple[str, str], str] = {}
    for language, questions in by_language(asked).items():
        if language not in train:
            raise DataError(
                f"expected questions in {language} to train on, of the split train, but there are only those in "
                f"{', '.join(train)}"
            )
        for question, answer in zip(questions, _answers(model, train[language], questions), strict=True):
            found[language, question.id] = answer
    return tuple(found[question.language, question.id] for question in asked)


def _answers(model: SubwordReader, trained_on: Sequence[Question], asked: Sequence[Question]) -> list[str]:
    answers = sorted({question.answer for question in trained_on})
    number = {answer: place for place, answer in enumerate(answers)}
    labels = torch.tensor([number[question.answer] for question in trained_on])
    bags = _bags(model, [*trained_on, *asked])
    weight = torch.zeros(bags.shape[1], len(answers), requires_grad=True)
    bias = torch.zeros(len(answers), requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], LEARNING_RATE)
    for _ in range(STEPS):
        logits = bags[: len(trained_on)] @ weight + bias
        loss = F.cross_entropy(logits, labels) + DECAY * weight.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        best = (bags[len(trained_on) :] @ weight + bias).argmax(dim=-1)
    return [answers[place] for place in best.tolist()]


def _bags(model: SubwordReader, questions: Sequence[Question]) -> Float[Tensor, "questions subwords"]:
    """Which of the subwords that come at all are in each question, 1 or 0."""
    batch = model.tokenize([one.question for one in questions], [one.language for one in questions])
    mask = batch.mask.cpu()
    ids, places = batch.ids.cpu()[mask].unique(return_inverse=True)
    rows = torch.arange(len(questions)).unsqueeze(1).expand_as(mask)[mask]
    bags = torch.zeros(len(questions), len(ids))
    bags[rows, places] = 1
    return bags
