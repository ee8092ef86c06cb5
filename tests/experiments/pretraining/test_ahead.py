"""What is drawn ahead is what would be drawn when it is asked for."""

import os
from collections.abc import Callable

import pytest
import torch

from experiments.pretraining.ahead import Ahead, ahead, in_processes, in_thread

pytestmark = pytest.mark.filterwarnings("ignore:lance is not fork-safe")  # other tests import it; trainings do not


def drawn(step: int) -> tuple[int, torch.Tensor, int]:
    if step == 13:
        raise ValueError("an unlucky step")
    return step, torch.full((2,), step), os.getpid()


@pytest.mark.parametrize("begin", [in_thread, lambda draw: in_processes(draw, 2)])
def test_steps_come_in_order_and_from_anywhere(
    begin: Callable[[Callable[[int], tuple[int, torch.Tensor, int]]], Ahead[tuple[int, torch.Tensor, int]]],
) -> None:
    draw = begin(drawn)
    for step in (5, 6, 7, 8, 3, 4, 9):
        found, tensor, _ = draw(step)
        assert found == step
        assert tensor.tolist() == [step, step]


def test_processes_draw_beside_this_one_and_their_errors_arrive() -> None:
    draw = in_processes(drawn, 2)
    assert os.getpid() not in {draw(step)[2] for step in range(9, 13)}
    with pytest.raises(ValueError, match="an unlucky step"):
        draw(13)
    assert draw(14)[0] == 14


def test_the_next_step_is_drawn_before_it_is_asked_for() -> None:
    steps: list[int] = []
    draw = in_thread(lambda step: steps.append(step) or step)
    assert draw(4) == 4
    draw(5)
    assert steps[:2] == [4, 5]
    assert set(steps) <= {4, 5, 6}


def test_a_processor_that_computes_the_steps_draws_in_a_thread() -> None:
    assert os.getpid() == ahead(drawn, torch.device("cpu"))(0)[2]
    assert os.getpid() != ahead(drawn, torch.device("cuda"))(0)[2]
