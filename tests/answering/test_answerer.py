import numpy as np
import pytest
import torch

from polyglance.answering.answerer import answer_question
from polyglance.models.protocol import ImageBatch
from polyglance.nn.states import TokenStates
from tests.fakes import COLOURS, ColourModel


@pytest.fixture
def states() -> TokenStates:
    """Three quarters blue, one red, as a library stores them."""
    pixels = np.empty((8, 8, 3), np.uint8)
    pixels[:] = COLOURS["blue"]
    pixels[:4, :4] = COLOURS["red"]
    batch = ImageBatch(torch.from_numpy(pixels.transpose(2, 0, 1).copy()).unsqueeze(0))
    return TokenStates.load(ColourModel().read_images(batch).store(), "image", "cpu")


def test_answers_are_probabilities_best_first(states: TokenStates):
    answers = answer_question(ColourModel(), "what colour?", "en", states, top=2)
    expected = torch.softmax(torch.tensor([2.0, 0, 6, 0]), 0)
    assert [answer.answer for answer in answers] == ["blue", "red"]
    assert [answer.probability for answer in answers] == pytest.approx([expected[2].item(), expected[0].item()], 1e-2)


def test_words_agree_with_a_question_in_their_own_language(states: TokenStates):
    asked = "Qual é a cor da estrela?"
    same = answer_question(ColourModel(), asked, "pt", states, top=2, answer_in="pt")
    assert [answer.word for answer in same] == ["azul", "vermelha"]
    other = answer_question(ColourModel(), "Qual é a cor da banana?", "pt", states, top=4, answer_in="fr")
    assert "vert" in [answer.word for answer in other]


@pytest.mark.parametrize("top", [4, 50, 10**19])
def test_no_more_answers_than_there_are_and_equals_in_the_order_of_the_model(states: TokenStates, top: int):
    answers = answer_question(ColourModel(), "what colour?", "en", states, top=top)
    assert [answer.answer for answer in answers] == ["blue", "red", "green", "white"]
    assert sum(answer.probability for answer in answers) == pytest.approx(1)


class WritingModel(ColourModel):
    """Without a list of answers: it spells what it is asked about."""

    def write(self, text: TokenStates, images: TokenStates, top: int) -> list[list[tuple[str, float]]]:
        return [[(f"answer {number}", 0.5**number) for number in range(1, top + 1)] for _ in range(len(text))]


def test_a_model_without_a_list_of_answers_writes_them(states: TokenStates):
    written = answer_question(WritingModel(answers=()), "what colour?", "en", states, top=2)
    assert [(answer.answer, answer.probability, answer.word) for answer in written] == [
        ("answer 1", 0.5, "answer 1"),
        ("answer 2", 0.25, "answer 2"),
    ]
