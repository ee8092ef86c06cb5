"""What is drawn ahead is what would be drawn when it is asked for."""

import os

import pytest
import torch

from experiments.pretraining.ahead import AheadInProcesses, AheadInThread, ahead


def drawn(step: int) -> tuple[int, torch.Tensor, int]:
    if step == 13:
        raise ValueError("an unlucky step")
    return step, torch.full((2,), step), os.getpid()


@pytest.mark.parametrize("kind", [AheadInThread, lambda draw: AheadInProcesses(draw, 2)])
def test_steps_come_in_order_and_from_anywhere(kind: type[AheadInThread[tuple[int, torch.Tensor, int]]]) -> None:
    draw = kind(drawn)
    for step in (5, 6, 7, 8, 3, 4, 9):
        found, tensor, _ = draw(step)
        assert found == step
        assert tensor.tolist() == [step, step]


def test_processes_draw_beside_this_one_and_their_errors_arrive() -> None:
    draw = AheadInProcesses(drawn, 2)
    others = {draw(step)[2] for step in range(10, 13)}
    assert len(others) == 2
    assert os.getpid() not in others
    with pytest.raises(ValueError, match="an unlucky step"):
        draw(13)


def test_a_processor_that_computes_the_steps_draws_in_a_thread() -> None:
    assert isinstance(ahead(drawn, torch.device("cpu")), AheadInThread)
    assert isinstance(ahead(drawn, torch.device("cuda")), AheadInProcesses)
