"""The space in which texts and pictures meet: the principal directions of the teacher's sentence vectors."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from experiments.bundled_model.lessons import Lesson
from polyglance import atomic
from polyglance.nn.encoder import unit

_POWER = 0.25
"""Directions are divided by their standard deviation to this power: those of small variance tell meanings apart too."""
_FEW = 20
"""Fewer vectors than this have no mean worth taking away."""


def centred(lessons: Sequence[Lesson], vectors: Float[Tensor, "lessons teacher"]) -> Float[Tensor, "lessons teacher"]:
    """Returns unit vectors without the mean of their kind and language; of a kind with few lessons in a language,
    without the mean of the kind.

    The teacher's vectors all lie near each other, and those of one language nearer.
    """
    kinds, both = defaultdict(list), defaultdict(list)
    for row, lesson in enumerate(lessons):
        kinds[lesson.kind].append(row)
        both[lesson.kind, lesson.language].append(row)
    found = torch.empty_like(vectors)
    for (kind, _), group in both.items():
        common = group if len(group) >= _FEW else kinds[kind]
        found[group] = vectors[group] - vectors[common].mean(dim=0)
    return unit(found)


@dataclass(frozen=True)
class Space:
    """directions: of the teacher's centred vectors, the widest first."""

    directions: Float[Tensor, "teacher width"]

    @classmethod
    def of(cls, vectors: Float[Tensor, "texts teacher"], width: int) -> "Space":
        """Returns the principal directions of centred vectors."""
        values, found = torch.linalg.eigh(vectors.T @ vectors / len(vectors))
        deviations = values.clamp(min=0)[-width:].sqrt().flip(0)
        return cls(found[:, -width:].flip(1) / deviations**_POWER)

    def __call__(self, vectors: Float[Tensor, "texts teacher"]) -> Float[Tensor, "texts width"]:
        """Returns centred vectors as unit vectors of this space."""
        return unit(vectors @ self.directions)

    def save(self, path: Path) -> None:
        with atomic.whole(path) as draft:
            save_file({"directions": self.directions.contiguous()}, draft)

    @classmethod
    def load(cls, path: Path) -> "Space":
        return cls(load_file(path)["directions"])


def class_vectors(
    space: Space, named: Float[Tensor, "classes teacher"], described: Float[Tensor, "classes teacher"], width: int
) -> Float[Tensor, "classes width"]:
    """Returns the vectors that a picture's class probabilities weigh: of names and of captions alike.

    named: of "A photo of a NAME." described: of what a caption might say. width: the first directions that are kept.
    """
    both = sum(unit(vectors - vectors.mean(dim=0)) for vectors in (named, described))
    projected = both @ space.directions
    return (projected - projected.mean(dim=0))[:, :width]
