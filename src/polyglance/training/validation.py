"""Repeated validation during a training, which keeps the weights with the best value."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import cast

from safetensors.torch import save_file
from torch import nn

from polyglance import atomic


def beats_chance(reached: float, chance: float, asked: int) -> bool | None:
    """Whether `reached` percent of `asked` questions is more than `chance` percent by two standard errors.

    None if so few were asked that nothing could be. One question right and one wrong are added (Laplace), so that the
    error stays above zero where chance is next to nothing.
    """
    centre = (chance / 100 * asked + 1) / (asked + 2)
    bound = 100 * (centre + 2 * math.sqrt(centre * (1 - centre) / asked))
    return None if bound >= 100 else reached > bound


def why_at_chance(losses: Sequence[float]) -> str:
    """Returns the likely reason why a validation is no better than chance, and what to try.

    losses: of the steps so far.
    """
    tenth = max(1, len(losses) // 10)
    first, last = fmean(losses[:tenth]), fmean(losses[-tenth:])
    if last > 0.95 * first:
        return (
            f"the loss does not fall ({first:.2f} to {last:.2f}), so the learning rate is likely too high or too low, "
            "or the texts do not belong to their pictures: look at some of them, and try another --learning-rate"
        )
    return (
        f"the loss falls ({first:.2f} to {last:.2f}), so the model needs more time, or learns its examples by heart: "
        "try more --epochs, more examples, or --adapters, which train fewer weights"
    )


class Validations:
    """Validates a model after each part of a training and keeps its best weights.

    The values are written to `validation.json`, the weights with the best value to `best.safetensors`.

    folder: where to write. module: the module with the weights. validate: returns the value; higher is better.
    patience: the number of validations without improvement after which the training ends; 0 for never.
    """

    def __init__(self, folder: Path, module: nn.Module, validate: Callable[[], float], patience: int) -> None:
        self.module, self.validate, self.patience = module, validate, patience
        self.log, self.weights = folder / "validation.json", folder / "best.safetensors"

    @property
    def values(self) -> list[float]:
        return cast("list[float]", json.loads(self.log.read_text())) if self.log.exists() else []

    @property
    def best(self) -> int:
        """The number of the best validation, from 1."""
        return 1 + self.values.index(max(self.values))

    @property
    def ended(self) -> bool:
        return bool(self.patience and self.values) and len(self.values) - self.best >= self.patience

    def __call__(self, number: int) -> bool:
        """Validates and returns whether the training ends. number: of the part, from 1; later values are dropped."""
        values = [*self.values[: number - 1], self.validate()]
        if values.index(max(values)) == number - 1:
            with atomic.whole(self.weights) as draft:
                save_file({name: value.contiguous() for name, value in self.module.state_dict().items()}, draft)
        atomic.write_text(self.log, json.dumps(values) + "\n")
        return self.ended
