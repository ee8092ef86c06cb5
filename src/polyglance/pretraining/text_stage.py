"""The third stage: the text layers learn to predict the facts that a text states, in all languages at once.

Facts are for texts what the scene graph is for pictures, and are learned as quickly: one head for all languages maps
`dog`, `Hund` and `собака` to the same place before the first picture is seen.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from polyglance.nn.states import TokenStates
from polyglance.scenes import meaning as m
from polyglance.scenes.captions import sample_caption
from polyglance.scenes.questions import sample_question
from polyglance.scenes.sampling import Scene


def facts(meaning: m.Caption | m.Question) -> set[str]:
    """Returns the facts that a text states, as strings: `ShowsRelated`, `thing.noun=dog`, `relation=left`, ..."""
    parts = meaning if isinstance(meaning, tuple) else (meaning,)
    return {fact for part in parts for fact in (type(part).__name__, *_facts(part, ""))}


def _facts(value: object, role: str) -> Iterator[str]:
    if is_dataclass(value):
        for field in fields(value):
            yield from _facts(getattr(value, field.name), f"{role}.{field.name}" if role else field.name)
    elif value is not None:
        yield f"{role}={value}"


def sample_meaning(scene: Scene, rng: random.Random) -> m.Caption | m.Question:
    """Samples a caption or a question of a scene."""
    return sample_caption(scene, rng) if rng.random() < 0.5 else sample_question(scene, rng)[0]


def known_facts(scenes: Sequence[Scene], seed: int) -> list[str]:
    """Returns all facts that occur in one sampled meaning per scene, sorted."""
    rng = random.Random(f"facts {seed}")
    return sorted({fact for scene in scenes for fact in facts(sample_meaning(scene, rng))})


class MeaningHead(nn.Module):
    """Predicts facts and emoji from the mean state of a text; it is discarded after training.

    width: of the states. known: all facts. emoji: the number of emoji.
    """

    def __init__(self, width: int, known: Sequence[str], emoji: int) -> None:
        super().__init__()
        self.index = {fact: i for i, fact in enumerate(known)}
        self.facts = nn.Linear(width, len(known))
        self.emoji = nn.Linear(width, emoji)

    def targets(self, meanings: Sequence[m.Caption | m.Question]) -> Float[Tensor, "texts facts"]:
        """Returns 1 for each fact that a text states, else 0."""
        rows = torch.zeros(len(meanings), len(self.index))
        for row, meaning in zip(rows, meanings, strict=True):
            row[[self.index[fact] for fact in facts(meaning) if fact in self.index]] = 1
        return rows

    def fact_loss(self, texts: TokenStates, targets: Float[Tensor, "texts facts"]) -> Tensor:
        """Binary cross-entropy, summed over facts and averaged over texts."""
        logits = self.facts(_mean(texts))
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=1).mean()

    def emoji_loss(self, names: TokenStates, emoji: Int[Tensor, " names"]) -> Tensor:
        """Cross-entropy of telling which emoji a name belongs to."""
        return F.cross_entropy(self.emoji(_mean(names)), emoji)


def _mean(texts: TokenStates) -> Float[Tensor, "texts width"]:
    return texts.hidden.float().sum(dim=1) / texts.mask.sum(dim=1, keepdim=True)
