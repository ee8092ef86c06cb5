"""How drawings are told by all names."""

import torch

from experiments.bundled_model.picture_stage import name_loss

NAMES = torch.eye(3)[[0, 1, 1, 2]]


def test_a_vector_at_its_own_name_loses_nothing_though_another_picture_has_the_same_name() -> None:
    assert name_loss(torch.eye(3)[[1, 1, 2]], NAMES, torch.tensor([1, 2, 3]), 25.0) < 1e-6


def test_a_vector_at_the_name_of_another_loses_what_the_scale_says() -> None:
    loss = name_loss(torch.eye(3)[[0]], NAMES, torch.tensor([3]), 25.0)
    torch.testing.assert_close(loss, torch.tensor(25.0))
