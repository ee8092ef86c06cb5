"""Targets from the scene graph of a caption, for each cell: where each word of a phrase fits and each relation holds.

A whole phrase teaches a model little about its parts: in most scenes the dog alone identifies `a dog on a red plate`,
and the plate is not learned. Each part is therefore a target of its own.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.pretraining.grounding import FRAGMENTS, PARTS, ROLES
from experiments.pretraining.picture_stage import CELLS
from polyglance.scenes import meaning as m
from polyglance.scenes.sampling import Scene, Thing, cell_of
from polyglance.scenes.truth import Truth, anyone, between, fitting, related

WORDS: Final = ("noun", "size", "colour", "plate")
"""The fields of a phrase; each fits some things or none."""

Facts = list[tuple[int, int, int, Truth]]
"""(text, cell, part, truth); what has no entry is not a target."""


def word_targets(scenes: Sequence[Scene], captions: Sequence[m.Caption]) -> Float[Tensor, "texts cells parts"]:
    """Returns, for each word of each phrase in a fragment, 1 where it fits, 0 where not, and -1 if it is absent.

    A background fits every cell or none.
    """
    facts: Facts = []
    for text, (scene, caption) in enumerate(zip(scenes, captions, strict=True)):
        things = {cell_of(thing): thing for thing in scene.things}
        for number, fragment in enumerate(caption):
            for field in fields(fragment):
                value = getattr(fragment, field.name)
                if field.name == "background":
                    facts += [(text, cell, 3 * number * len(WORDS), value == scene.background) for cell in range(CELLS)]
                if field.name not in ROLES:
                    continue
                phrase = value if isinstance(value, m.Phrase) else m.Phrase(value)
                first = (3 * number + ROLES[field.name]) * len(WORDS)
                for word, name in enumerate(WORDS):
                    if said := getattr(phrase, name):
                        facts += [
                            (text, cell, first + word, cell in things and _has(things[cell], name, said))
                            for cell in range(CELLS)
                        ]
    return _filled(facts, len(scenes), PARTS * len(WORDS))


def relation_targets(scenes: Sequence[Scene], captions: Sequence[m.Caption]) -> Float[Tensor, "texts cells fragments"]:
    """Returns 1 where a thing stands as a fragment says (in a relation, or between two), 0 where not, -1 if arguable.

    The subject of the fragment does not matter.
    """
    facts: Facts = []
    for text, (scene, caption) in enumerate(zip(scenes, captions, strict=True)):
        for number, fragment in enumerate(caption):
            facts += [(text, cell_of(thing), number, _stands(scene, thing, fragment)) for thing in scene.things]
    return _filled(facts, len(scenes), FRAGMENTS)


class CellHead(nn.Module):
    """Predicts targets from the picture's tokens, which are the last of the sequence; discarded after training."""

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.read = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, parts))

    def loss(self, states: Float[Tensor, "texts tokens width"], targets: Float[Tensor, "texts cells parts"]) -> Tensor:
        """Returns the binary cross-entropy of the known targets, summed over each text and averaged over the texts."""
        asked = targets >= 0
        logits = self.read(states[:, -CELLS:]).float()
        return F.binary_cross_entropy_with_logits(logits[asked], targets[asked], reduction="sum") / len(states)


def _has(thing: Thing, name: str, said: str) -> bool:
    return said in (thing.kind, thing.category) if name == "noun" else getattr(thing, name) == said


def _stands(scene: Scene, thing: Thing, fragment: m.Fragment) -> Truth:
    match fragment:
        case m.ShowsRelated(_, relation, other):
            return anyone(related(thing, relation, one) for one in fitting(scene, other) if one is not thing)
        case m.ShowsBetween(_, first, second):
            return anyone(
                between(thing, a, b)
                for a in fitting(scene, first)
                for b in fitting(scene, second)
                if a is not b and thing not in (a, b)
            )
    return None


def _filled(facts: Facts, texts: int, parts: int) -> Float[Tensor, "texts cells parts"]:
    targets = torch.full((texts, CELLS, parts), -1.0)
    known = [(text, cell, part, float(truth)) for text, cell, part, truth in facts if truth is not None]
    if known:
        *at, truths = zip(*known, strict=True)
        targets[tuple(map(torch.tensor, at))] = torch.tensor(truths)
    return targets
