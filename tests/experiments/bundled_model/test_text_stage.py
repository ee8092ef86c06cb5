"""The losses of lessons, by vectors that are known."""

import torch

from experiments.bundled_model.text_stage import lesson_terms

ROWS = torch.tensor([5, 5, 7, 9])
TARGETS = torch.eye(3)[[0, 0, 1, 2]]


def test_vectors_at_their_targets_lose_nothing_though_two_texts_are_of_one_lesson() -> None:
    terms = lesson_terms(TARGETS, TARGETS, ROWS)
    assert terms["cosine"] == 0
    assert terms["apart"] < 1e-6


def test_vectors_at_the_targets_of_others_lose_in_both_terms() -> None:
    terms = lesson_terms(TARGETS.roll(2, dims=0), TARGETS, ROWS)
    assert terms["cosine"] == 4
    assert terms["apart"] > 10


def test_vectors_between_all_targets_lose_what_a_guess_loses() -> None:
    middle = torch.full((4, 3), 3**-0.5)
    torch.testing.assert_close(
        lesson_terms(middle, TARGETS, ROWS)["apart"], (2 * torch.tensor(3.0).log() + 2 * torch.tensor(4.0).log()) / 4
    )
