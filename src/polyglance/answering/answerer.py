"""Answer a question from a picture's token states; the picture itself is not needed."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from polyglance.answering.words import SOURCE, word_of
from polyglance.models.protocol import AnswerWriter, JointModel
from polyglance.models.tasks import TaskModel
from polyglance.nn.states import TokenStates
from polyglance.types import Answer, TaskAnswers


def answer_question(
    model: JointModel, question: str, language: str, picture: TokenStates, top: int = 5, answer_in: str = SOURCE
) -> list[Answer]:
    """The `top` most probable of the model's answers, best first; a model that has none may write its own. picture: one
    row. answer_in: the language of their words."""
    text = model.read_text(model.tokenize([question], [language]))
    if not model.answers and isinstance(model, AnswerWriter):
        written = model.write(text, picture, top)[0]
        asked = question if language == answer_in else ""
        return [Answer(answer, probability, word_of(answer, answer_in, asked)) for answer, probability in written]
    return _best(model.answers, model.answer(text, picture)[0], top, question, language, answer_in)


def answer_tasks(
    tasks: TaskModel, question: str, language: str, picture: TokenStates, top: int = 5, answer_in: str = SOURCE
) -> list[TaskAnswers]:
    """The same for each of several trained tasks, at once."""
    text = tasks.model.read_text(tasks.model.tokenize([question], [language]))
    return [
        TaskAnswers(task.name, _best(task.labels, logits[0], top, question, language, answer_in))
        for task, logits in zip(tasks.tasks, tasks.answer(text, picture), strict=True)
    ]


def _best(
    answers: Sequence[str], logits: Float[Tensor, " answers"], top: int, question: str, language: str, answer_in: str
) -> list[Answer]:
    """Equally probable answers stay in the model's order."""
    best = torch.softmax(logits.float(), dim=-1).sort(descending=True, stable=True)
    asked = question if language == answer_in else ""
    found = list(zip(best.indices.tolist(), best.values.tolist(), strict=True))[:top]
    return [
        Answer(answers[index], probability, word_of(answers[index], answer_in, asked)) for index, probability in found
    ]
