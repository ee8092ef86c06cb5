"""Answers by words alone."""

from pathlib import Path

import pytest

from polyglance.data.questions import Question
from polyglance.errors import DataError
from polyglance.models import load_model
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.training.blind import answer_blind
from tests.journeys.tiny import save_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SingleStreamModel:
    return load_model(str(save_tiny_model(tmp_path_factory.mktemp("model"))))


def questions(language: str, *pairs: tuple[str, str]) -> list[Question]:
    return [Question(Path(), text, answer, language, id=str(n)) for n, (text, answer) in enumerate(pairs)]


TRAIN = questions("en", *[("is it a star", "yes"), ("what colour is it", "red"), ("what colour", "red")] * 3)


def test_words_tell_answers_in_each_language_apart(model: SingleStreamModel) -> None:
    german = questions("de", ("ist es rot", "no"), ("welche farbe", "blue"), ("welche farbe ist es", "blue"))
    asked = questions("de", ("welche farbe hat es", "?")) + questions("en", ("is it a plate", "?"), ("colour", "?"))
    assert answer_blind(model, TRAIN + german, asked) == ("blue", "yes", "red")


def test_a_language_without_questions_to_train_on_is_refused(model: SingleStreamModel) -> None:
    with pytest.raises(DataError, match="in de to train on, of the split train, but there are only those in en"):
        answer_blind(model, TRAIN, questions("de", ("was", "?")))
