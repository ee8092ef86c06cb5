import math

import pytest
import torch

from polyglance.nn.encoder import unit
from polyglance.training.losses import (
    binary_match,
    hard_negatives,
    hardest_triplet,
    info_nce,
    pairwise_sigmoid,
    ranked_match,
    taught_order,
)

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


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Vectors of five texts and of their images, and one pair more that is true."""
    torch.manual_seed(0)
    also_true = torch.zeros(5, 5, dtype=torch.bool)
    also_true[1, 3] = True
    return unit(torch.randn(5, 8)), unit(torch.randn(5, 8)), also_true


def test_pairwise_sigmoid_is_the_sum_over_all_pairs(batch) -> None:
    texts, images, also_true = batch
    scale, bias = torch.tensor(7.0), torch.tensor(-3.0)
    expected = 0.0
    for i in range(5):
        for j in range(5):
            if (i, j) != (1, 3):
                z = 1 if i == j else -1
                expected += math.log1p(math.exp(-z * (7 * float(texts[i] @ images[j]) - 3)))
    assert pairwise_sigmoid(texts, images, scale, bias, also_true).item() == pytest.approx(expected / 5, rel=1e-5)


def test_the_triplet_is_with_the_hardest_negative_that_is_one(batch) -> None:
    texts, images, also_true = batch
    cosines = (texts @ images.T).tolist()
    expected = 0.0
    for i in range(5):
        to_image = max(cosines[i][j] for j in range(5) if j != i and (i, j) != (1, 3))
        to_text = max(cosines[j][i] for j in range(5) if j != i and (j, i) != (1, 3))
        expected += max(0, 0.1 - cosines[i][i] + to_image) + max(0, 0.1 - cosines[i][i] + to_text)
    assert hardest_triplet(texts, images, 0.1, also_true).item() == pytest.approx(expected / 5, rel=1e-5)
    alone = torch.ones(5, 5, dtype=torch.bool)
    assert hardest_triplet(texts, images, 0.1, alone) == 0


def test_match_losses_by_hand() -> None:
    right, wrong = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    expected = sum(math.log1p(math.exp(x)) for x in (-2.0, 1.0, 0.5, -3.0)) / 4
    assert binary_match(right, wrong).item() == pytest.approx(expected, rel=1e-5)
    negatives = torch.tensor([[0.5, 1.0], [-3.0, 0.0]])
    expected = sum(
        math.log(sum(math.exp(x) for x in (own, *others)) / math.exp(own))
        for own, others in ((2.0, (0.5, 1.0)), (-1.0, (-3.0, 0.0)))
    )
    assert ranked_match(right, negatives).item() == pytest.approx(expected / 2, rel=1e-5)


def test_the_taught_order_is_the_divergence_of_softmaxes() -> None:
    student, teacher = torch.tensor([[1.0, 0, -1], [2, 2, 0]]), torch.tensor([[0.0, 3, 1], [2, 2, 0]])
    p, q = teacher.softmax(dim=1), student.softmax(dim=1)
    assert taught_order(student, teacher).item() == pytest.approx((p * (p / q).log()).sum().item() / 2, rel=1e-5)
    assert taught_order(teacher + 7, teacher).abs() < 1e-6
