import torch

from polyglance.nn.encoder import unit
from polyglance.training.losses import hard_negatives, info_nce

NO_FOILS = torch.zeros(0, 4)


def test_info_nce_is_low_for_pairs_that_agree_and_high_for_pairs_that_do_not() -> None:
    vectors, scale, none = torch.eye(4), torch.tensor(20.0), torch.zeros(4, 4, dtype=torch.bool)
    assert info_nce(vectors, vectors, scale, none, NO_FOILS) < 0.01
    assert info_nce(vectors, vectors.roll(1, 0), scale, none, NO_FOILS) > 10


def test_what_is_also_true_is_no_negative() -> None:
    vectors, scale = unit(torch.tensor([[1.0, 0], [1, 0.01]])), torch.tensor(20.0)
    none = torch.zeros(2, 2, dtype=torch.bool)
    assert info_nce(vectors, vectors, scale, none, NO_FOILS[:, :2]) > 0.5
    assert info_nce(vectors, vectors, scale, ~none, NO_FOILS[:, :2]) < 1e-6


def test_a_foil_that_looks_right_costs() -> None:
    vectors, scale, none = torch.eye(3), torch.tensor(20.0), torch.zeros(3, 3, dtype=torch.bool)
    right_for_two = info_nce(vectors, vectors, scale, none, vectors[:2])
    assert right_for_two > info_nce(vectors, vectors, scale, none, -vectors[:2]) + 0.2
    assert right_for_two < info_nce(vectors, vectors, scale, none, vectors)


def test_hard_negatives_are_near_and_never_excluded() -> None:
    similarities = torch.tensor([[1.0, 0.9, 0.0], [0.0, 1.0, 0.9]])
    excluded = torch.tensor([[True, False, False], [False, True, False]])
    drawn = [hard_negatives(similarities, excluded, 15, torch.Generator().manual_seed(seed)) for seed in range(50)]
    rows = torch.stack(drawn)
    assert not (rows[:, 0] == 0).any()
    assert not (rows[:, 1] == 1).any()
    assert (rows == torch.tensor([1, 2])).float().mean() > 0.95
