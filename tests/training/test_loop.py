"""The loop resumes to the bit: a run that was killed and one that was not end alike."""

from pathlib import Path

import pytest
import torch
from torch import nn

from polyglance.training.loop import Losses, Schedule, fit, read_log


class Killed(Exception):
    pass


def train(folder: Path, steps: int, kill_at: int | None = None) -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))

    def losses(step: int) -> Losses:
        if step == kill_at:
            raise Killed
        x = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
        return {"square": (module(x) - x.sum(dim=1, keepdim=True)).square().mean()}

    fit("toy", module, losses, Schedule(steps, 0.01, warmup=5), folder, save_every=0)
    return module


def test_a_killed_run_ends_like_one_that_was_not(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    expected = train(whole, 30)
    with pytest.raises(Killed):
        train(broken, 30, kill_at=17)
    resumed = train(broken, 30)
    for name, value in expected.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    rows = list(read_log(broken / "toy.jsonl"))
    assert [row["step"] for row in rows] == list(range(30))
    assert rows[-1]["square"] < rows[0]["square"] / 2


def test_rate_warms_up_and_falls_to_a_hundredth() -> None:
    schedule = Schedule(100, 1.0, warmup=10)
    rates = [schedule.rate(step) for step in range(100)]
    assert max(rates) == rates[10] == 1.0
    assert rates[0] == 0.1
    assert rates[-1] < 0.011
