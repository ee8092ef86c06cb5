"""A task as each part of the experiment takes it: kept states, labels, and the measure of its predictions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from jaxtyping import Float, Int
from torch import Tensor, nn

from experiments.results import Row
from polyglance.adapters.composition import Composition
from polyglance.adapters.source import AdapterSource
from polyglance.training.tasks.trainer import Examples, predict

Labels = Int[Tensor, " examples"] | Float[Tensor, " examples"]
Measure = Callable[[Float[Tensor, "examples outputs"], Labels], float]
"""Scores logits against labels; 100 is the best score."""


def accuracy(logits: Float[Tensor, "examples outputs"], labels: Labels) -> float:
    """Returns the percentage of examples with a correctly predicted label."""
    return 100 * (logits.argmax(dim=-1) == labels).float().mean().item()


@dataclass(frozen=True, eq=False)
class KeptTask:
    """A task with the kept states of its examples before some layers.

    classes: the number of labels; 1 for a regression. val: serves choices; None if there is none. facts: fields of all
    rows of this task, such as the name of the body.
    """

    name: str
    classes: int
    train: Examples
    test: Examples
    val: Examples | None = None
    measure: Measure = accuracy
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def depths(self) -> tuple[int, ...]:
        """The depths that drops are measured at."""
        return self.test.states.depths

    @property
    def layers(self) -> int:
        return len(self.test.states.encoder.layers)

    def row(self, part: str, **fields: object) -> Row:
        return {**self.facts, "part": part, "task": self.name, **fields}

    def scores(
        self, source: AdapterSource, composition: Composition, head: nn.Linear, splits: Sequence[str] = ("test", "val")
    ) -> dict[str, float]:
        """Returns the score of each of the splits that there is."""
        parts = {split: part for split in splits if (part := {"test": self.test, "val": self.val}[split])}
        return {
            split: round(self.measure(predict(part.states, source, composition, head), part.labels), 2)
            for split, part in parts.items()
        }
