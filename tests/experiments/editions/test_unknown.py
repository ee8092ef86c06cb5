"""How often a model says that it does not know a picture."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.editions.measures import unknown_row
from experiments.editions.tables import TABLES
from polyglance.answering.words import UNKNOWN
from polyglance.models import load_single_stream
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.nn.states import TokenStates
from tests.journeys.tiny import save_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> SingleStreamModel:
    """A model with an answer for pictures that it does not know."""
    made = load_single_stream(save_tiny_model(tmp_path / "model")).float()
    made.config = replace(made.config, answers=(*made.answers[:-1], UNKNOWN))
    return made


def test_the_share_of_pictures_whose_best_answer_is_that_they_are_unknown(model: SingleStreamModel) -> None:
    torch.manual_seed(0)
    states = TokenStates(torch.randn(6, 4, 8), torch.ones(6, 4, dtype=torch.bool), "image")
    with torch.no_grad():
        model.answer_head.weight.zero_()
        model.answer_head.bias.zero_()
        model.answer_head.bias[-1] = 1
        assert unknown_row(model, "photographs", states)["unknown"] == 100
        model.answer_head.bias[-1] = -1
        row = unknown_row(model, "photographs", states)
    assert (row["unknown"], row["asked"], row["system"]) == (0, 6, "answer")
    assert "| photographs | 6 | 0.0 |" in TABLES["editions_unknown"]([{"model": "tiny", **row}])
