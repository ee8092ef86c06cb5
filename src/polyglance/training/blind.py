"""A baseline that answers from the words of a question alone; a model that sees pictures must beat it.

It is a softmax regression on a bag of subwords, deterministic, and takes a few seconds per language on one core.
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
"""The weight of the squared weights in the loss, chosen by cross-validation over the pictures of xGQA's English
train_48."""


def answer_blind(model: SubwordReader, trained_on: Sequence[Question], asked: Sequence[Question]) -> tuple[str, ...]:
    """Returns the most probable training answer in the question's language for each question.

    model: tokenizes the questions. trained_on: questions with answers. asked: the questions to answer.

    Raises DataError for a language without training questions.
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
    """Returns 1 for each subword that a question contains, else 0; subwords that never occur have no column."""
    batch = model.tokenize([asked.question for asked in questions], [asked.language for asked in questions])
    mask = batch.mask.cpu()
    ids, places = batch.ids.cpu()[mask].unique(return_inverse=True)
    rows = torch.arange(len(questions)).unsqueeze(1).expand_as(mask)[mask]
    bags = torch.zeros(len(questions), len(ids))
    bags[rows, places] = 1
    return bags
