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
    return TokenStates.load(ColourModel().read_images(batch).store(), "image")


def test_answers_are_probabilities_best_first(states: TokenStates):
    answers = answer_question(ColourModel(), "what colour?", "en", states, top=2)
    expected = torch.softmax(torch.tensor([2.0, 0, 6, 0]), 0)
    assert [answer.answer for answer in answers] == ["blue", "red"]
    assert [answer.probability for answer in answers] == pytest.approx([expected[2].item(), expected[0].item()], 1e-2)


def test_no_more_answers_than_there_are(states: TokenStates):
    answers = answer_question(ColourModel(), "what colour?", "en", states, top=50)
    assert {answer.answer for answer in answers} == set(COLOURS)
    assert sum(answer.probability for answer in answers) == pytest.approx(1)
