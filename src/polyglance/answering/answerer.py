"""Answers questions from the token states of a picture, without the picture itself."""

from collections.abc import Sequence

from polyglance.answering.words import SOURCE, word_of
from polyglance.models.protocol import Answerer, AnswerWriter
from polyglance.models.reading import best, best_answers
from polyglance.models.tasks import TaskModel
from polyglance.nn.states import TokenStates
from polyglance.types import Answer, TaskAnswers, Text


def answer_question(
    model: Answerer | AnswerWriter,
    question: str,
    language: str,
    picture: TokenStates,
    top: int = 5,
    answer_in: str = SOURCE,
) -> list[Answer]:
    """Returns the `top` most probable answers, best first.

    model: answers or writes. question: the text. language: the code of the question's language. picture: one row.
    answer_in: the code of the language that the answers are put into.
    """
    (answers,) = best_answers(model, model.read([Text(question, language)]), picture, top)
    return _worded(answers, question, language, answer_in)


def answer_tasks(
    tasks: TaskModel, question: str, language: str, picture: TokenStates, top: int = 5, answer_in: str = SOURCE
) -> list[TaskAnswers]:
    """Returns the `top` most probable answers of each trained task; other arguments as in `answer_question`."""
    logits = tasks.answer(tasks.model.read([Text(question, language)]), picture)
    return [
        TaskAnswers(task.name, _worded(best(task.labels, of_task, top)[0], question, language, answer_in))
        for task, of_task in zip(tasks.tasks, logits, strict=True)
    ]


def _worded(answers: Sequence[tuple[str, float]], question: str, language: str, answer_in: str) -> list[Answer]:
    asked = question if language == answer_in else ""
    return [Answer(answer, probability, word_of(answer, answer_in, asked)) for answer, probability in answers]
