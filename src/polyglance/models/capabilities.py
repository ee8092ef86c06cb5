"""Functions that ask a model for an ability and return it under the type of that ability, or raise an error."""

from typing import Final, cast

from polyglance.errors import ConfigurationError
from polyglance.models.protocol import Answerer, AnswerWriter, Embedder, Matcher, Reader, SubwordReader
from polyglance.models.sources import FOR_QUESTIONS
from polyglance.types import Task

_TRAINING: Final[dict[Task, str]] = {"embed": "retrieval", "match": "retrieval", "answer": "vqa"}
"""The training that teaches each task."""


def as_embedder(model: Reader) -> Embedder:
    """Returns the model as an embedder. Raises ConfigurationError if it was not trained to embed."""
    _require(model, "embed")
    return cast("Embedder", model)


def as_matcher(model: Reader) -> Matcher:
    """Returns the model as a matcher. Raises ConfigurationError if it was not trained to match."""
    _require(model, "match")
    return cast("Matcher", model)


def as_answerer(model: Reader) -> Answerer | AnswerWriter:
    """Returns the model as an answerer. Raises ConfigurationError if it was not trained to answer."""
    _require(model, "answer")
    return cast("Answerer | AnswerWriter", model)


def as_chooser(model: Reader) -> Answerer:
    """Returns the model as an answerer with a list of answers.

    Raises:
        ConfigurationError: the model was not trained to answer, or it writes its own answers.
    """
    answerer = as_answerer(model)
    if isinstance(answerer, AnswerWriter):
        raise ConfigurationError(
            f"{model.name} has no list of answers: expected a file answers.json in its folder, such as "
            '["yes", "no", "2"]'
        )
    return answerer


def as_subword_reader(model: Reader) -> SubwordReader:
    """Returns the model as a reader of subwords. Raises ConfigurationError if its subwords are not known here."""
    if not isinstance(model, SubwordReader):
        raise ConfigurationError(f"expected a model whose subwords are known here, got {model.name}: name another")
    return model


def _require(model: Reader, task: Task) -> None:
    if task not in model.tasks:
        known = " and ".join(model.tasks) or "nothing yet"
        way_out = f"polyglance train {_TRAINING[task]} trains it, or " if model.trainable else ""
        such_as = f" such as {FOR_QUESTIONS}" if task == "answer" else ""
        raise ConfigurationError(
            f"expected a model that was trained to {task}, got {model.name}, which was trained to {known}: "
            f"{way_out}name another model{such_as}"
        )
