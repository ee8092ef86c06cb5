"""What a right match or answer says too little about: which cells of a picture a text speaks of, and which of its
fragments are true. The scene graph knows both for every pair of text and picture.

The joint layers tell the cells half-way up, from the image tokens (dense supervision, as in referring expression
comprehension), so that the layers above can build on what was found; the fragments they tell at the end, beside the
verdict on the whole. Without them a caption and its foil, which differ in one detail, are long taken for the same.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from polyglance.pretraining.picture_stage import CELLS
from polyglance.scenes import meaning as m
from polyglance.scenes.sampling import Scene, Thing, cell_of
from polyglance.scenes.truth import fitting, holds, related
from polyglance.scenes.world import CATEGORIES, KINDS

ROLES: Final = {"thing": 0, "noun": 0, "category": 0, "plate": 0, "other": 1, "first": 1, "second": 2}
"""Field of a template -> which of three parts its things play."""
FRAGMENTS: Final = 3
"""Fragments a caption has at most."""
PARTS: Final = 3 * FRAGMENTS
"""Each fragment's three parts; a question's are those of the first."""


def spoken_of(
    scenes: Sequence[Scene], meanings: Sequence[m.Caption | m.Question]
) -> Float[Tensor, "texts cells parts"]:
    """1 where a thing stands that plays that part in what the text says, true or not."""
    cells = torch.zeros(len(scenes), CELLS, PARTS)
    spoken = [
        (row, cell_of(thing), 3 * number + role)
        for row, (scene, meaning) in enumerate(zip(scenes, meanings, strict=True))
        for number, template in enumerate(meaning if isinstance(meaning, tuple) else (meaning,))
        for role, thing in _played(scene, template)
    ]
    if spoken:
        cells[tuple(torch.tensor(spoken).T)] = 1
    return cells


def fragments_hold(scenes: Sequence[Scene], captions: Sequence[m.Caption]) -> Float[Tensor, "texts fragments"]:
    """1 where a fragment is true of the scene, 0 where it is false, -1 where one could argue or there is none."""
    value = {True: 1.0, False: 0.0, None: -1.0}
    rows = (
        [value[holds(scene, fragment)] for fragment in caption] for scene, caption in zip(scenes, captions, strict=True)
    )
    return torch.tensor([row + [-1.0] * (FRAGMENTS - len(row)) for row in rows])


class GroundingHead(nn.Module):
    """Tells cells from the image tokens half-way up the joint layers, and fragments from the result: thrown away after
    training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cells = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, PARTS))
        self.fragments = nn.Linear(width, FRAGMENTS)

    def cell_loss(
        self, halfway: Float[Tensor, "texts tokens width"], spoken_of: Float[Tensor, "texts cells parts"]
    ) -> Tensor:
        """Binary cross-entropy, summed over the cells of a picture, whose tokens are the last ones."""
        logits = self.cells(halfway[:, -CELLS:]).float()
        targets = spoken_of.to(logits.device)
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=(1, 2)).mean()

    def fragment_loss(self, results: Float[Tensor, "texts width"], hold: Float[Tensor, "texts fragments"]) -> Tensor:
        """Binary cross-entropy of every fragment that is true or false beyond argument."""
        hold = hold.to(results.device)
        known = hold >= 0
        return F.binary_cross_entropy_with_logits(self.fragments(results).float()[known], hold[known])


def _played(scene: Scene, template: m.Fragment | m.Question) -> list[tuple[int, Thing]]:
    """(part, thing) of everything that a template speaks of."""
    played = [
        (ROLES[field.name], thing)
        for field in fields(template)
        for thing in _named(scene, field.name, getattr(template, field.name))
    ]
    if isinstance(template, m.WhatIsRelated):
        others = fitting(scene, template.other)
        asked = [thing for thing in scene.things if any(related(thing, template.relation, other) for other in others)]
        played += [(ROLES["thing"], thing) for thing in asked]
    return played


def _named(scene: Scene, role: str, value: object) -> list[Thing]:
    if isinstance(value, m.Phrase):
        return fitting(scene, value)
    if role == "plate":
        return [thing for thing in scene.things if thing.plate == value]
    if role in ROLES and value in (*KINDS, *CATEGORIES):
        return fitting(scene, m.Phrase(str(value)))
    return []
