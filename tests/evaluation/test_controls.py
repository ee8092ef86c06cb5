"""A model's answers and the controls beside them: a model that sees nothing but colours, whose answers are known."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from polyglance.data.questions import Question, Types, check_pictures
from polyglance.errors import DataError
from polyglance.evaluation.controls import (
    QUESTIONS,
    answer_questions,
    controlled_report,
    most_frequent,
    scores_by_language,
)
from polyglance.models.protocol import TextBatch
from polyglance.nn.states import TokenStates
from tests.fakes import COLOURS, ColourModel

NAMES = ("red", "green", "blue")


@pytest.fixture
def asked(tmp_path: Path) -> list[Question]:
    """Two questions a picture, in two languages."""
    for name in NAMES:
        Image.new("RGB", (16, 16), COLOURS[name]).save(tmp_path / f"{name}.png")
    types = Types("query", "attr")
    return [
        Question(tmp_path / f"{name}.png", "What colour?", name, language, "test", f"{name}{number}", types)
        for language in ("en", "de")
        for name in NAMES
        for number in range(2)
    ]


def test_each_picture_is_read_once_however_many_questions_it_has(asked: list[Question]) -> None:
    model = ColourModel()
    answered = answer_questions(model, asked)
    assert model.pictures_read == len(NAMES) + 1  # the blank one
    assert answered.own == tuple(question.answer for question in asked)
    assert set(answered.blank) == {"white"}
    assert answered.shuffled is not None
    for question, answer in zip(asked, answered.shuffled, strict=True):
        assert answer in NAMES
        assert answer != question.answer
    assert sorted(answered.shuffled) == sorted(answered.own), "each picture stands for one other"
    assert answered == answer_questions(model, asked)


class ColourWordModel(ColourModel):
    """Answers with the colour that a question names, and red in German."""

    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        return super().tokenize(["red" if code == "de" else text for text, code in zip(texts, languages, strict=True)])

    def answer_logits(self, text: TokenStates, images: TokenStates) -> Float[Tensor, "pairs answers"]:
        return text.hidden.sum(dim=1)[:, : len(COLOURS)]


def test_each_question_is_asked_in_its_words_and_its_language(asked: list[Question]) -> None:
    words = ("blue", "white", "green")
    many = [
        replace(asked[0], question=f"Is it {words[number % 3]}?", id=str(number)) for number in range(QUESTIONS + 2)
    ]
    told: list[tuple[str, int, int]] = []
    answered = answer_questions(
        ColourWordModel(), [*many, asked[-1]], lambda stage, done, total, _: told.append((stage, done, total))
    )
    expected = (*(words[number % 3] for number in range(len(many))), "red")
    assert answered.own == answered.blank == answered.shuffled == expected
    assert ("reading pictures", 2, 2) in told
    assert told[-2:] == [("answering", QUESTIONS, QUESTIONS + 3), ("answering", QUESTIONS + 3, QUESTIONS + 3)]


def test_one_picture_cannot_be_shuffled(asked: list[Question]) -> None:
    assert answer_questions(ColourModel(), asked[:2]).shuffled is None


def test_pictures_that_cannot_be_read_are_skipped_with_their_questions(asked: list[Question]) -> None:
    asked[0].image.write_bytes(b"torn")
    answered = answer_questions(ColourModel(), asked)
    assert list(answered.skipped) == [str(asked[0].image)]
    assert answered.questions == tuple(one for one in asked if one.image != asked[0].image)
    assert answered.own == tuple(one.answer for one in answered.questions)
    with pytest.raises(DataError, match=r"1 of the pictures cannot be read: .*red\.png"):
        answer_questions(ColourModel(), asked[:2])


def test_pictures_that_are_not_there_are_named(asked: list[Question]) -> None:
    asked[0].image.unlink()
    with pytest.raises(DataError, match=r"no picture .*red\.png: name their folder with --images, or .* --blind"):
        check_pictures(asked)


def test_the_commonest_answer_of_each_type() -> None:
    kinds = [("query", "blue"), ("query", "red"), ("query", "red"), ("verify", "no"), (None, "five")]
    counted = [Question(Path(), "?", answer, types=Types(kind)) for kind, answer in kinds]
    wanted = [Question(Path(), "?", "?", types=Types(kind)) for kind in ("verify", "query", None, "choose")]
    assert most_frequent(wanted, counted) == ("no", "red", "five", "red")


def test_a_report_has_the_controls_beside_every_accuracy(asked: list[Question]) -> None:
    answered = answer_questions(ColourModel(), asked)
    controls = {
        "blank": scores_by_language(asked, answered.blank),
        "shuffled": None,
        "most_frequent": scores_by_language(asked, most_frequent(asked, asked)),
    }
    with pytest.raises(ValueError, match="zip"):
        scores_by_language(asked, answered.own[1:])
    report = controlled_report(scores_by_language(asked, answered.own), controls, {"red", "green"})
    assert report["accuracy"] == 100
    expected = {"blank": 0, "shuffled": None, "most_frequent": pytest.approx(100 / 3)}
    assert report["controls"] == report["by_language"]["de"]["controls"] == expected
    assert report["outside_vocabulary"] == {"questions": 4, "answers": ["blue"]}
    assert report["by_structural"] == {"query": 100}
