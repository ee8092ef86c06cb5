"""Grounding losses: the joint layers learn which cells of a picture a text refers to and which fragments are true.

The scene graph provides both targets for every pair of text and picture. Cells are predicted half-way up the joint
layers from the image tokens (dense supervision, as in referring expression comprehension), so that the layers above can
use them; fragments are predicted at the end, beside the match. Without these losses, a model takes long to tell a
caption from its foil, which differs in one detail.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.pretraining.picture_stage import CELLS
from polyglance.scenes import meaning as m
from polyglance.scenes.sampling import Scene, Thing, cell_of
from polyglance.scenes.truth import fitting, holds, related
from polyglance.scenes.world import CATEGORIES, KINDS

ROLES: Final = {"thing": 0, "noun": 0, "category": 0, "plate": 0, "other": 1, "first": 1, "second": 2}
"""Field of a template -> the role of its things, one of three."""
FRAGMENTS: Final = 3
"""The most fragments that a caption has."""
PARTS: Final = 3 * FRAGMENTS
"""The three roles of each fragment; a question uses those of the first."""


def spoken_of(
    scenes: Sequence[Scene], meanings: Sequence[m.Caption | m.Question]
) -> Float[Tensor, "texts cells parts"]:
    """Returns 1 for each cell and role if a thing there has that role in the text, whether the text is true or not."""
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
    """Returns 1 for a fragment that is true of the scene, 0 for a false one, -1 if viewers could disagree or there is
    none."""
    value = {True: 1.0, False: 0.0, None: -1.0}
    rows = (
        [value[holds(scene, fragment)] for fragment in caption] for scene, caption in zip(scenes, captions, strict=True)
    )
    return torch.tensor([row + [-1.0] * (FRAGMENTS - len(row)) for row in rows])


class GroundingHead(nn.Module):
    """Predicts cells from the image tokens half-way up the joint layers, and fragments from the result.

    The head is discarded after training. width: of the joint layers. kept: the number of a picture's states, of which
    those of the cells are the first.
    """

    def __init__(self, width: int, kept: int = CELLS) -> None:
        super().__init__()
        self._kept = kept
        self.cells = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, PARTS))
        self.fragments = nn.Linear(width, FRAGMENTS)

    def cell_loss(
        self, halfway: Float[Tensor, "texts tokens width"], spoken_of: Float[Tensor, "texts cells parts"]
    ) -> Tensor:
        """Binary cross-entropy, summed over cells and roles and averaged over texts; the image tokens are the last
        ones."""
        logits = self.cells(halfway[:, -self._kept :][:, :CELLS]).float()
        targets = spoken_of.to(logits.device)
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=(1, 2)).mean()

    def fragment_loss(self, results: Float[Tensor, "texts width"], hold: Float[Tensor, "texts fragments"]) -> Tensor:
        """Binary cross-entropy, averaged over the fragments that are clearly true or false."""
        hold = hold.to(results.device)
        known = hold >= 0
        return F.binary_cross_entropy_with_logits(self.fragments(results).float()[known], hold[known])


def _played(scene: Scene, template: m.Fragment | m.Question) -> list[tuple[int, Thing]]:
    """Returns (role, thing) for everything that a template refers to."""
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
