"""What the phrases of a question refer to: where it stands, and its size and colours. Comparisons follow from these."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.pretraining.grounding import ROLES
from experiments.pretraining.picture_stage import CELLS
from polyglance.scenes import meaning as m
from polyglance.scenes.sampling import Scene, Thing, cell_of
from polyglance.scenes.truth import fitting, related
from polyglance.scenes.world import COLOURS, SIZES

_FACTS: Final = {"cell": CELLS, "size": len(SIZES), "colour": len(COLOURS) + 1, "plate": len(COLOURS) + 1}
"""The facts of a thing, with the number of classes; the last colour is none."""
_ROLES: Final = 3
_UNSAID: Final = -100


def referents_of(scenes: Sequence[Scene], questions: Sequence[m.Question]) -> Int[Tensor, "questions roles facts"]:
    """Returns the facts of the only thing that plays each role in a question; -100 where none or several do."""
    rows = [[_facts(thing) for thing in _things(scene, one)] for scene, one in zip(scenes, questions, strict=True)]
    return torch.tensor(rows)


def _things(scene: Scene, question: m.Question) -> list[Thing | None]:
    played: list[Thing | None] = [None] * _ROLES
    for field in fields(question):
        value = getattr(question, field.name)
        if isinstance(value, m.Phrase) and len(found := fitting(scene, value)) == 1:
            played[ROLES[field.name]] = found[0]
    if isinstance(question, m.WhatIsRelated) and (other := played[ROLES["other"]]):
        asked = [thing for thing in scene.things if thing is not other and related(thing, question.relation, other)]
        played[ROLES["thing"]] = asked[0] if len(asked) == 1 else None
    return played


def _facts(thing: Thing | None) -> list[int]:
    if thing is None:
        return [_UNSAID] * len(_FACTS)
    return [cell_of(thing), SIZES.index(thing.size), *(_colour(one) for one in (thing.colour, thing.plate))]


def _colour(name: str | None) -> int:
    return COLOURS.index(name) if name else len(COLOURS)


class ReferentHead(nn.Module):
    """Predicts the facts of each role from the state of a question's token half-way up the joint layers.

    It is discarded after training. width: of the state.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.facts = nn.Linear(width, _ROLES * sum(_FACTS.values()))

    def loss(self, states: Float[Tensor, "questions width"], referents: Int[Tensor, "questions roles facts"]) -> Tensor:
        """Cross-entropy, averaged over known roles and summed over facts."""
        logits = self.facts(states).float().unflatten(1, (_ROLES, -1)).flatten(0, 1)
        targets = referents.flatten(0, 1)
        parts = zip(logits.split(list(_FACTS.values()), dim=-1), targets.unbind(dim=-1), strict=True)
        known = (targets[:, 0] != _UNSAID).sum().clamp(min=1)
        terms = [F.cross_entropy(predicted, right, ignore_index=_UNSAID, reduction="sum") for predicted, right in parts]
        return torch.stack(terms).sum() / known
