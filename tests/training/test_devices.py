"""Two processes on processors, and steps of several batches: the same gradients as one process and one batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from polyglance.errors import ConfigurationError
from polyglance.training.devices import Devices, native_precision
from polyglance.training.loop import Losses, Schedule, fit, read_log
from tests.cli.command import SOURCE, polyglance
from tests.journeys.tiny import save_tiny_model

NAMES = ("red", "white", "black", "blue")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """captions.jsonl of four pictures, and a model."""
    folder = tmp_path_factory.mktemp("colours")
    save_tiny_model(folder / "model", joint_layers=2)
    for name in NAMES:
        Image.new("RGB", (32, 32), name).save(folder / f"{name}.png")
    lines = [
        {"image": f"{name}.png", "caption": text} for name in NAMES for text in (name, f"a {name} star on a plate")
    ]
    lines += [{**line, "split": "val"} for line in lines]
    (folder / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def command(folder: Path, output: str, launcher: tuple[str, ...] = ()) -> tuple[str, ...]:
    train = ("train", "retrieval", "--data", "captions.jsonl", "--model", "model", "--output", output, "--json")
    settings = ("--epochs", "3", "--batch", "5", "--learning-rate", "1e-3", "--precision", "no", "--mine", "2")
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "tests.training.shared_step", f"{output}.gradients", *train, *settings],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{SOURCE}:{SOURCE.parent}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return tuple(done.stdout.decode().splitlines())


def test_two_processes_train_as_one(folder) -> None:
    launcher = ("-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu", "--num_processes", "2")
    ports = ("--num_machines", "1", "--main_process_port", "0", "--mixed_precision", "no", "--dynamo_backend", "no")
    one, two = command(folder, "one"), command(folder, "two", (*launcher, *ports))
    alone, shared = load_file(folder / "one.gradients"), load_file(folder / "two.gradients")
    assert set(alone) == set(shared)
    for name, gradient in alone.items():
        assert torch.allclose(gradient, shared[name], rtol=1e-3, atol=1e-6), name
    assert [line.replace("two", "one") for line in two] == list(one)
    logs = [list(read_log(folder / name / "training" / "retrieval.jsonl")) for name in ("one", "two")]
    assert [row["step"] for row in logs[1]] == [0, 1, 2]
    for ours, theirs in zip(*logs, strict=True):
        assert ours | {"seconds": 0} == pytest.approx(theirs | {"seconds": 0}, abs=2e-4)
    weights, same = (load_file(folder / name / "training" / "retrieval.safetensors") for name in ("one", "two"))
    for name in weights:
        assert torch.allclose(weights[name].float(), same[name].float(), atol=1e-4), name


def test_gradients_of_the_parts_of_a_step_are_means(tmp_path) -> None:
    def train(folder: Path, engine: Devices | None) -> nn.Module:
        torch.manual_seed(0)
        module = nn.Linear(3, 1)

        def part(number: int) -> Losses:
            x = torch.randn(4, 3, generator=torch.Generator().manual_seed(number))
            return {"square": (module(x) - x.sum(dim=1, keepdim=True)).square().mean()}

        def whole(step: int) -> Losses:
            return {"square": (part(2 * step)["square"] + part(2 * step + 1)["square"]) / 2}

        folder.mkdir()
        more = {"engine": engine} if engine else {}
        fit("toy", module, part if engine else whole, Schedule(6, 0.01, warmup=2), folder, **more)
        return module

    parts, whole = train(tmp_path / "parts", Devices(parts=2)), train(tmp_path / "whole", None)
    for name, value in whole.state_dict().items():
        assert torch.allclose(value, parts.state_dict()[name], atol=1e-6)
    rows = [list(read_log(tmp_path / name / "toy.jsonl")) for name in ("parts", "whole")]
    assert [row["square"] for row in rows[0]] == pytest.approx([row["square"] for row in rows[1]], abs=1e-4)


def test_a_process_has_one_precision(folder) -> None:
    first, other = ("bf16", "no") if native_precision() == "bf16" else ("no", "bf16")
    Devices()
    Devices(first)
    with pytest.raises(ConfigurationError, match=f"precision {other} cannot be had: "):
        Devices(other)
    train = ("train", "retrieval", "--data", "captions.jsonl", "--model", "model", "--output", "half", "--epochs", "1")
    ended = polyglance(*train, "--precision", "fp16", cwd=folder)
    assert ended.status == 0, ended.errors
