from pathlib import Path

import pytest

from polyglance.data.questions import Question
from polyglance.errors import ConfigurationError
from polyglance.models import load_model
from polyglance.models.added_language import Language
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.training.retrieval.objectives import RetrievalSettings
from polyglance.training.retrieval.trainer import train_retrieval
from polyglance.training.tasks.questions import train_question_task
from polyglance.training.tasks.trainer import TaskSettings
from tests.journeys.tiny import save_tiny_model


def task(model: SingleStreamModel, folder: Path) -> None:
    questions = [Question(folder / "a.png", "is it?", answer) for answer in ("yes", "no")]
    train_question_task(model, "tiny", questions, folder / "out", "task", TaskSettings(0))


def retrieval(model: SingleStreamModel, folder: Path) -> None:
    train_retrieval(model, [], folder / "out", RetrievalSettings())


@pytest.mark.parametrize("train", [task, retrieval])
def test_a_model_to_which_a_language_was_added_is_not_trained_further(train, tmp_path: Path) -> None:
    model = load_model(str(save_tiny_model(tmp_path / "tiny")))
    model.add_language(Language("fr", 16, None, None))
    with pytest.raises(ConfigurationError, match="no language was added, got tiny with fr"):
        train(model, tmp_path)
