"""The text layers learn to predict the facts that a text states, in all languages at once.

Facts are for texts what the scene graph is for pictures, and are learned as quickly: one head for all languages maps
`dog`, `Hund` and `собака` to the same place before the first picture is seen.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.pretraining.joint_batches import WordSource
from polyglance.kernels.processor import native_autocast
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.nn.states import TokenStates
from polyglance.scenes import meaning as m
from polyglance.scenes.captions import sample_caption
from polyglance.scenes.questions import sample_question
from polyglance.scenes.sampling import Scene
from polyglance.training.loop import Losses, Schedule, fit
from polyglance.types import StageProgress


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


def train_texts(
    model: SingleStreamModel,
    source: WordSource,
    steps: int,
    texts: int,
    names: int,
    folder: Path,
    report: StageProgress | None,
) -> None:
    """Trains the text layers in place. texts, names: the number of scene texts and of emoji names in a step."""
    head = MeaningHead(model.config.width, known_facts(source.scenes, source.seed), len(source.gallery))
    head.to(model.device)
    trained = nn.ModuleDict(
        {"tokens": model.token_embedding, "positions": model.text_position, "layers": model.text_layers, "head": head}
    )

    def losses(step: int) -> Losses:
        rng = random.Random(f"texts {source.seed} {step}")
        meanings = [sample_meaning(rng.choice(source.scenes), rng) for _ in range(texts)]
        said = [source.say(meaning, rng) for meaning in meanings]
        emoji = rng.sample(range(len(source.gallery)), names)
        spoken = [source.name(row, rng) for row in emoji]
        with native_autocast(model.device):
            read, named = model.read_text(model.tokenize(said)), model.read_text(model.tokenize(spoken))
        return {
            "facts": head.fact_loss(read, head.targets(meanings).to(model.device)),
            "names": head.emoji_loss(named, torch.tensor(emoji, device=model.device)),
        }

    model.train()
    fit("texts", trained, losses, Schedule(steps, 2e-3), folder, report)
    model.eval()
