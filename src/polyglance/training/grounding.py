"""Which cells of a picture a text speaks of: the joint layers' image tokens learn to tell, with the text in view.

A right or wrong match, or one answer, says little about where to look. The scene graph knows it for every phrase, and
that teaches the joint layers to find what the words name (dense supervision as in referring expression comprehension).
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from polyglance.scenes import meaning as m
from polyglance.scenes.sampling import GRID, Scene, Thing, cell_of
from polyglance.scenes.truth import fitting
from polyglance.scenes.world import CATEGORIES, KINDS

ROLES: Final = {"thing": 0, "noun": 0, "category": 0, "plate": 0, "other": 1, "first": 1, "second": 2}
"""Field of a template -> which of three parts its things play."""
PARTS: Final = 3


def spoken_of(
    scenes: Sequence[Scene], meanings: Sequence[m.Caption | m.Question]
) -> Float[Tensor, "texts cells parts"]:
    """1 where a thing stands that plays that part in what the text says, true or not."""
    cells = torch.zeros(len(scenes), GRID * GRID, PARTS)
    for row, scene, meaning in zip(cells, scenes, meanings, strict=True):
        for template in meaning if isinstance(meaning, tuple) else (meaning,):
            for field in fields(template):
                for thing in _named(scene, field.name, getattr(template, field.name)):
                    row[cell_of(thing), ROLES[field.name]] = 1
    return cells


def _named(scene: Scene, role: str, value: object) -> list[Thing]:
    if isinstance(value, m.Phrase):
        return fitting(scene, value)
    if role == "plate":
        return [thing for thing in scene.things if thing.plate == value]
    if role in ROLES and value in (*KINDS, *CATEGORIES):
        return fitting(scene, m.Phrase(str(value)))
    return []


def grounding_loss(logits: Float[Tensor, "texts cells parts"], targets: Float[Tensor, "texts cells parts"]) -> Tensor:
    """Binary cross-entropy, summed over the cells of a picture."""
    return F.binary_cross_entropy_with_logits(logits.float(), targets, reduction="none").sum(dim=(1, 2)).mean()
