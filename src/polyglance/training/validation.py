"""A measure on what is held out, taken again and again while a model is trained, and the weights of its best."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

from safetensors.torch import save_file
from torch import nn

from polyglance import atomic


class Validations:
    """Called by the loop after each part of a training, ends it when nothing is gained. patience: how often; 0: never.

    The values stand in `validation.json`, the weights of the best in `best.safetensors`.
    """

    def __init__(self, folder: Path, module: nn.Module, validate: Callable[[], float], patience: int) -> None:
        self.module, self.validate, self.patience = module, validate, patience
        self.log, self.weights = folder / "validation.json", folder / "best.safetensors"

    @property
    def values(self) -> list[float]:
        return cast("list[float]", json.loads(self.log.read_text())) if self.log.exists() else []

    @property
    def best(self) -> int:
        """Which one it was, from 1."""
        return 1 + self.values.index(max(self.values))

    @property
    def ended(self) -> bool:
        return bool(self.patience and self.values) and len(self.values) - self.best >= self.patience

    def __call__(self, number: int) -> bool:
        """number: of the part, from 1. A run that goes on forgets what its checkpoint knows nothing of."""
        values = [*self.values[: number - 1], self.validate()]
        if values.index(max(values)) == number - 1:
            with atomic.whole(self.weights) as draft:
                save_file({name: value.contiguous() for name, value in self.module.state_dict().items()}, draft)
        atomic.write_text(self.log, json.dumps(values) + "\n")
        return self.ended
