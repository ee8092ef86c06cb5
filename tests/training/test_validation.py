"""What is above chance, by how many were asked."""

import pytest

from polyglance.training.validation import beats_chance, why_at_chance


@pytest.mark.parametrize(
    ("reached", "chance", "asked", "beaten"),
    [
        (0.4, 100 / 238, 238, False),
        (1.3, 100 / 238, 238, False),
        (3.0, 100 / 238, 238, True),
        (52.0, 50.0, 200, False),
        (60.0, 50.0, 200, True),
        (100.0, 0.0, 1, None),
        (100.0, 100.0, 50, None),
    ],
)
def test_chance_is_beaten_by_two_standard_errors(
    reached: float, chance: float, asked: int, beaten: bool | None
) -> None:
    assert beats_chance(reached, chance, asked) is beaten


@pytest.mark.parametrize(
    ("losses", "advice"),
    [
        ([4.16] * 40, "the loss does not fall (4.16 to 4.16)"),
        ([4.16, *[4.2] * 40], "does not fall"),
        ([4.0 - 0.1 * step for step in range(30)], "the loss falls (3.90 to 1.20)"),
        ([4.0], "does not fall"),
    ],
)
def test_why_a_validation_is_at_chance(losses: list[float], advice: str) -> None:
    assert advice in why_at_chance(losses)
