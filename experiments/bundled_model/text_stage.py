"""The first stage: the text side learns to give the teacher's sentence vectors, in all languages at once."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.bundled_model.lessons import Lesson
from experiments.pretraining.ahead import ahead
from polyglance.kernels.processor import native_autocast
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.protocol import TextBatch
from polyglance.training.loop import Losses

SHARES: Final = {"photos": 0.3, "mixed": 0.28, "names": 0.14, "words": 0.1, "captions": 0.09, "questions": 0.09}
"""Of the texts of a step, by the kind of lesson."""
_SCALE: Final = 20.0
"""The inverse temperature of telling the texts of a step apart."""
_PARTS: Final = (
    *("token_embedding", "text_position", "text_norm", "text_layers"),
    *("expand_text", "task_token", "joint_layers", "embed_head"),
)


class TextLosses:
    """The losses of a step: how far each text's vector is from its target, and from those of other texts.

    targets: unit vectors of the lessons. batch: the number of texts of a step.
    """

    def __init__(
        self,
        model: SingleStreamModel,
        lessons: Sequence[Lesson],
        targets: Float[Tensor, "lessons width"],
        batch: int,
        seed: int,
        shares: Mapping[str, float] = SHARES,
    ) -> None:
        self.model, self._lessons, self._seed = model, lessons, seed
        self._targets = targets.to(model.device)
        self._count, self._shares = batch, shares
        self._rows: dict[str, list[int]] = defaultdict(list)
        for row, lesson in enumerate(lessons):
            self._rows[lesson.kind].append(row)
        self._batch = ahead(self._read, model.device)

    @property
    def trained(self) -> nn.Module:
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name.startswith(_PARTS))
        return self.model

    def __call__(self, step: int) -> Losses:
        batch, rows = (part.to(self.model.device) for part in self._batch(step))
        with native_autocast(self.model.device):
            vectors = self.model.embed(self.model.read_text(batch))
        return lesson_terms(vectors, self._targets[rows], rows)

    def drawn(self, step: int, count: int, taught: float = 0.0) -> tuple[list[int], list[str]]:
        """Returns the rows of the lessons of a step, and a text of each.

        taught: the share of texts that are those that the teacher read, most of which are English; the others are in
        any language.
        """
        rng = random.Random(f"lessons {self._seed} {step}")
        kinds = rng.choices(list(self._shares), list(self._shares.values()), k=count)
        rows = [rng.choice(self._rows[kind]) for kind in kinds]
        lessons = [self._lessons[row] for row in rows]
        said = [one.taught if rng.random() < taught else rng.choice(one.texts) for one in lessons]
        return rows, [_loosely(text, rng) for text in said]

    def _read(self, step: int) -> tuple[TextBatch, Int[Tensor, " texts"]]:
        rows, texts = self.drawn(step, self._count)
        return encoded(self.model, texts), torch.tensor(rows)


def encoded(model: SingleStreamModel, texts: Sequence[str]) -> TextBatch:
    """Returns what `model.tokenize` returns, but on the CPU: processes that draw ahead have no other device."""
    ids, mask = model.tokenizer.encode(texts, model.config.max_text_tokens)
    return TextBatch(torch.from_numpy(ids), torch.from_numpy(mask))


def lesson_terms(
    vectors: Float[Tensor, "texts width"], targets: Float[Tensor, "texts width"], rows: Int[Tensor, " texts"]
) -> Losses:
    """Returns how far each vector is from its target, and from those of other lessons. rows: of the lessons."""
    same = (rows[:, None] == rows) & ~torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    logits = (_SCALE * vectors @ targets.T).masked_fill(same, float("-inf"))
    return {
        "cosine": 4 * (1 - (vectors * targets).sum(dim=-1)).mean(),
        "apart": F.cross_entropy(logits, torch.arange(len(rows), device=rows.device)),
    }


def _loosely(text: str, rng: random.Random) -> str:
    """Adds or drops the full stop of half of the texts, as people do."""
    if rng.random() < 0.5:
        return text
    return text[:-1] if text.endswith((".", "。", "।")) else f"{text}."
