"""The training loop of every stage: seeded by step, logged, and resumed bit-identically after a kill."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Final, Protocol

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polyglance import atomic
from polyglance.errors import TrainingError
from polyglance.types import StageProgress

Losses = dict[str, Tensor]
StepFunction = Callable[[int], Losses]


@dataclass(frozen=True)
class Schedule:
    """AdamW (arXiv:1711.05101) with a linear warm-up, then a cosine decay to a hundredth of the rate.

    steps: their number. learning_rate: the highest rate. warmup: the steps of the warm-up. weight_decay: of matrices;
    vectors do not decay. clip: the largest norm of the gradients.
    """

    steps: int
    learning_rate: float
    warmup: int = 100
    weight_decay: float = 0.02
    clip: float = 1.0

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        """The learning rate of a step."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


class Engine(Protocol):
    """Runs the steps of a loop.

    first: whether this is the first process, which reports and saves. parts: the number of parts of a step, each with
    its own losses.
    """

    @property
    def first(self) -> bool: ...
    @property
    def parts(self) -> int: ...
    def prepared(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer: ...
    def backward(self, loss: Float[Tensor, ""]) -> None: ...
    def clip(self, parameters: Sequence[nn.Parameter], norm: float) -> None: ...
    def asked(self, question: Callable[[], bool]) -> bool:
        """Returns the first process's answer in all processes."""
        ...

    def wait(self) -> None: ...


class _Alone:
    """The engine for one process, with steps in one part."""

    first, parts = True, 1

    def prepared(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        return optimizer

    def backward(self, loss: Float[Tensor, ""]) -> None:
        loss.backward()

    def clip(self, parameters: Sequence[nn.Parameter], norm: float) -> None:
        nn.utils.clip_grad_norm_(parameters, norm)

    def asked(self, question: Callable[[], bool]) -> bool:
        return question()

    def wait(self) -> None:
        pass


ALONE: Final = _Alone()


def fit(
    stage: str,
    module: nn.Module,
    losses: StepFunction,
    schedule: Schedule,
    folder: Path,
    report: StageProgress | None = None,
    save_every: float = 120,
    check: Callable[[int], bool] | None = None,
    check_every: int = 0,
    engine: Engine = ALONE,
) -> None:
    """Trains a module in place, resuming from the folder's checkpoint if there is one.

    The checkpoint is written to `STAGE.safetensors`, the log to `STAGE.jsonl`.

    stage: the name of the stage. module: the module to train. losses: returns the losses of a step, which are summed
    and minimised; all random draws must depend on the step's number alone, so that a resumed run gives the same result.
    If the engine splits a step into parts, it is called with the number of the part, and gradients are averaged over
    the parts. schedule: the steps and the learning rate. folder: where to write. report: called after every step.
    save_every: seconds between checkpoints. check: called after every `check_every` steps with the number of calls
    including this one, and with the module in evaluation mode; a checkpoint follows, and True ends the stage. engine:
    `training.devices.Devices` for other devices and several processes.

    Raises TrainingError if a loss, or a weight to be saved, is not finite; the last checkpoint is kept.
    """
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = _groups(trained, schedule.weight_decay)
    optimizer = engine.prepared(torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.98)))
    checkpoint, log = folder / f"{stage}.safetensors", folder / f"{stage}.jsonl"
    first = _resume(checkpoint, module, optimizer) if checkpoint.exists() else 0
    if engine.first:
        _forget_after(log, first)
        if report and first < schedule.steps:
            report(stage, first, schedule.steps, {})
    saved = time.monotonic()
    module.train()
    for step in range(first, schedule.steps):
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        parts = []
        for part in range(step * engine.parts, (step + 1) * engine.parts):
            terms = losses(part)
            stacked = torch.stack(list(terms.values()))
            values = dict(zip(terms, stacked.tolist(), strict=True))  # all at once: a GPU is waited for
            _require_finite(stage, step, values, checkpoint)
            engine.backward(stacked.sum())
            parts.append(values)
        engine.clip(trained, schedule.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        values = {name: round(fmean(part[name] for part in parts), 4) for name in parts[0]}
        if engine.first:
            with log.open("a") as lines:
                row = {"step": step, "seconds": round(time.perf_counter() - started, 4), **values}
                lines.write(json.dumps(row) + "\n")
            if report:
                report(stage, step + 1, schedule.steps, values)
        ended = False
        if check and (step + 1) % check_every == 0:
            module.eval()
            ended = engine.asked(partial(check, (step + 1) // check_every))
            module.train()
        due = (
            ended
            or (check and (step + 1) % check_every == 0)
            or step + 1 == schedule.steps
            or time.monotonic() - saved >= save_every
        )
        if due and engine.first:
            _require_finite_weights(stage, step, trained, checkpoint)
            _save(checkpoint, module, optimizer, step + 1)
            saved = time.monotonic()
        if ended:
            break
    engine.wait()
    module.eval()


def _require_finite(stage: str, step: int, values: Mapping[str, float], checkpoint: Path) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise TrainingError(f"{stage}: the loss {name} is {value} at step {step}; {_kept(checkpoint)}")


def _require_finite_weights(stage: str, step: int, weights: Sequence[Tensor], checkpoint: Path) -> None:
    if not all(weight.isfinite().all() for weight in weights):
        raise TrainingError(f"{stage}: weights are no finite numbers after step {step}; {_kept(checkpoint)}")


def _kept(checkpoint: Path) -> str:
    kept = f"the last checkpoint is {checkpoint}" if checkpoint.exists() else "there is no checkpoint yet"
    return f"{kept}: lower the learning rate"


def hold_statistics(module: nn.Module) -> None:
    """Freezes the statistics of batch norms: those of small batches differ from those of later inputs."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()


def read_log(path: Path) -> Iterator[dict[str, float]]:
    """Yields the rows of a stage's log, one per step."""
    with path.open() as lines:
        yield from map(json.loads, lines)


def _groups(parameters: list[nn.Parameter], weight_decay: float) -> list[dict[str, object]]:
    """Applies weight decay to matrices, but not to vectors (biases, norms)."""
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _save(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    tensors = {f"module.{name}": value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value.detach().cpu().contiguous() for name, value in state.items()}
    tensors["steps"] = torch.tensor(steps)
    with atomic.whole(path) as draft:
        save_file(tensors, draft)


def _resume(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    tensors = load_file(path)
    steps = int(tensors.pop("steps"))
    module.load_state_dict({k.removeprefix("module."): v for k, v in tensors.items() if k.startswith("module.")})
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".")
            states.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    return steps


def _forget_after(log: Path, steps: int) -> None:
    """Drops the rows of the log from `steps` on, which are later than the checkpoint."""
    rows = [row for row in read_log(log) if row["step"] < steps] if log.exists() else []
    atomic.write_text(log, "".join(json.dumps(row) + "\n" for row in rows))
