"""What stands for photographs in the joint stage, and what they are matched with."""

import pytest
import torch

from experiments.bundled_model.photographs import ALIKE, COUNT, Photographs
from polyglance.nn.encoder import unit


@pytest.fixture
def photographs() -> Photographs:
    states = torch.tensor([10.0, 20.0])[:, None, None].repeat(1, 17, 200)
    states[:, -1] = -1
    return Photographs(
        states=states,
        classes=torch.eye(200),
        lessons=torch.arange(3, 9),
        targets=unit(torch.randn(10, 8, generator=torch.Generator().manual_seed(1))),
    )


def test_most_photographs_are_mixtures_and_those_in_a_row_have_a_class_in_common(photographs: Photographs) -> None:
    states = photographs.blended(torch.Generator().manual_seed(0))
    assert states.shape == (COUNT, 17, 200)
    torch.testing.assert_close(states[:, -1].square().mean(dim=1), torch.ones(COUNT))
    made = (states[:, -1] >= 0).all(dim=1)
    assert COUNT // 2 < made.sum() < COUNT
    shown = states[:, -1] > 0
    assert (shown[made].sum(dim=1) <= 4).all()
    for first in range(0, COUNT, ALIKE):
        row = slice(first, first + ALIKE)
        assert shown[row][made[row]].all(dim=0).any()


def test_cells_lie_between_those_of_two_photographs_and_never_are_the_same_again(photographs: Photographs) -> None:
    states = photographs.blended(torch.Generator().manual_seed(0))[:, :-1]
    means = states.mean(dim=2)
    assert ((means > 9.8) & (means < 20.2)).all()
    assert (means.std(dim=1) > 1).any(), "strewn cells are of different photographs"
    assert (states.std(dim=2) - 0.4).abs().max() < 0.1
    other = photographs.blended(torch.Generator().manual_seed(1))[:, :-1]
    assert not torch.equal(states, other)


def test_a_text_comes_with_its_own_photograph_first_then_the_nearest_and_logits_follow_cosines(
    photographs: Photographs,
) -> None:
    vectors = unit(torch.randn(COUNT, 8, generator=torch.Generator().manual_seed(2)))
    matches = photographs.matched(vectors, torch.Generator().manual_seed(3))
    assert set(matches.lessons.tolist()) <= set(range(3, 9))
    assert matches.shown[:, 0].tolist() == list(range(COUNT))
    cosines = photographs.targets[matches.lessons] @ vectors.T
    torch.testing.assert_close(matches.logits, 16 * (cosines.gather(1, matches.shown) - 0.3))
    others = cosines.masked_fill(torch.eye(COUNT, dtype=torch.bool), -2)
    assert torch.equal(matches.shown[:, 1 : ALIKE - 1], others.topk(ALIKE - 2, dim=1).indices)
