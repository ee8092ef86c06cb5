"""The last two stages: joint layers and texts learn to embed, match and answer with frozen states of pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.bundled_model.joint_batches import JointBatch, JointSource
from experiments.bundled_model.referents import ReferentHead
from experiments.pretraining.ahead import Ahead
from experiments.pretraining.grounding import GroundingHead
from experiments.pretraining.joint_stages import chosen_pairs, grounding_terms, match_terms
from polyglance.kernels.processor import native_autocast
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.nn.encoder import unit
from polyglance.nn.states import TokenStates
from polyglance.training.loop import Losses
from polyglance.training.losses import info_nce
from polyglance.training.seeds import generator_of

_PHOTOGRAPHS: Final = 24
"""The number of photographs in a step."""
_TEXTS: Final = 4
"""The number of texts that each photograph is matched with."""
_MATCH: Final = (16.0, 0.3)
"""Slope a and centre b of the logit that a photograph without a text is taught: a (cosine - b)."""


@dataclass(frozen=True)
class Photographs:
    """Photographs without texts. The vector of each stands for what it shows, and is held as it is.

    rows: of their states. classes: vectors of classes, mixtures of which stand for photographs that are not there.
    lessons, targets: rows of lessons about photographs, and the vectors of all lessons.
    """

    rows: Int[Tensor, " photographs"]
    classes: Float[Tensor, "classes state_width"]
    lessons: Int[Tensor, " chosen"]
    targets: Float[Tensor, "lessons width"]


class JointLosses:
    """The losses of a step: twin encoder, cross-encoder, answers and grounding, of scenes, drawings and photographs.

    hidden: the states of all pictures, the scenes first. spoken: the text of each lesson. tasks_alone: whether to train
    only the adapters and heads of the tasks, without grounding, in a frozen body.
    """

    def __init__(
        self,
        model: SingleStreamModel,
        source: JointSource,
        hidden: Float[Tensor, "pictures states state_width"],
        photographs: Photographs,
        spoken: Sequence[str],
        tasks_alone: bool = False,
    ) -> None:
        self.model, self.source, self.tasks_alone = model, source, tasks_alone
        self._hidden, self._photographs, self._spoken = hidden, photographs, spoken
        self.scale = nn.Parameter(torch.tensor(-math.log(model.config.temperature)))
        self.grounding = GroundingHead(model.config.width, model.config.kept_states)
        self.referents = ReferentHead(model.config.width)
        self._batch = Ahead(source)

    @property
    def trained(self) -> nn.Module:
        """The trained modules: all except the picture layers, or the tasks' adapters and heads; and the temperature."""
        for name, parameter in self.model.named_parameters():
            of_tasks, of_pictures = name.startswith(self.model.of_tasks), name.startswith(self.model.of_pictures)
            parameter.requires_grad_(of_tasks if self.tasks_alone else not of_pictures)
        heads = {} if self.tasks_alone else {"grounding": self.grounding, "referents": self.referents}
        trained = nn.ModuleDict({"model": self.model, **heads})
        trained.register_parameter("scale", self.scale)
        return trained

    def keep_temperature(self) -> None:
        """Stores the trained temperature in the model, as the start of the next stage."""
        self.model.config = replace(self.model.config, temperature=1 / self.scale.exp().item())

    def __call__(self, step: int) -> Losses:
        batch = self._batch(step)
        generator = generator_of(self.source.seed, step)
        with native_autocast(self.model.device):
            texts = self.model.read_text(batch.texts)
            terms = self._pair_terms(batch, texts, generator)
            terms |= self._answer_terms(batch)
            terms |= self._photograph_terms(generator)
        return terms

    def _pair_terms(self, batch: JointBatch, texts: TokenStates, generator: torch.Generator) -> Losses:
        """Texts and pictures that belong together: twin encoder, cross-encoder, fragments, and the lessons beside."""
        model, pairs, foils = self.model, len(batch.rows), len(batch.captions)
        said, lessons = texts[: pairs + foils].trimmed(), texts[pairs + foils :]
        of_texts, of_pictures = model.embed(said), model.embed(self._states(batch.rows))
        likeness = of_texts[:pairs] @ of_pictures.T
        scale = self.scale.exp().clamp(max=100)
        embed = info_nce(of_texts[:pairs], of_pictures, scale, batch.also_true, of_texts[pairs:])
        taught = (model.embed(lessons) * self._photographs.targets[batch.lessons]).sum(dim=-1)
        text, row = chosen_pairs(batch, likeness, generator)
        matched, halfway = model.joint("match", said[text], self._states(row))
        scores = model.match_head(matched).squeeze(-1).float()
        terms = {"embed": embed, "lessons": 3 * (1 - taught).mean(), **match_terms(scores, pairs)}
        if self.tasks_alone:
            return terms
        pairs_of_all = torch.stack([text, row])
        return terms | grounding_terms(self.grounding, self.source.scene, batch, pairs_of_all, matched, halfway)

    def _answer_terms(self, batch: JointBatch) -> Losses:
        questions = self.model.read_text(batch.questions)
        asked, halfway = self.model.joint("answer", questions, self._states(batch.question_rows))
        terms = {"answer": F.cross_entropy(self.model.answer_head(asked).float(), batch.answers)}
        if self.tasks_alone:
            return terms
        known = len(batch.referents)
        return {
            **terms,
            "cells_question": 0.1 * self.grounding.cell_loss(halfway[:known], batch.question_cells),
            "referents": 0.3 * self.referents.loss(halfway[:known, 0], batch.referents),
        }

    def _photograph_terms(self, generator: torch.Generator) -> Losses:
        """Photographs keep their vectors, and match texts as these vectors say."""
        of = self._photographs
        rows = of.rows[torch.randint(len(of.rows), (_PHOTOGRAPHS,), generator=generator)]
        hidden = self._hidden[rows].float()
        made = torch.rand(len(rows), generator=generator) < 0.7
        hidden[made, -1] = self._mixtures(int(made.sum()), generator)
        states = TokenStates(hidden, torch.ones(hidden.shape[:2], dtype=torch.bool), "image")
        with torch.no_grad():
            # As the projection of a whole picture begins: the first directions of the space, and nothing in the others
            vectors = unit(F.pad(hidden[:, -1], (0, self.model.config.embedding_dim - hidden.shape[2])))
        held = (self.model.embed(states) * vectors).sum(dim=-1)
        nearest = (vectors @ of.targets[of.lessons].T).topk(40, dim=1).indices
        picked = torch.randint(40, (len(rows), 1), generator=generator)
        others = torch.randint(len(of.lessons), (len(rows), _TEXTS - 1), generator=generator)
        chosen = of.lessons[torch.cat([nearest.gather(1, picked), others], dim=1)]
        cosines = (vectors[:, None] * of.targets[chosen]).sum(dim=-1)
        texts = self.model.read_text(self.source.encode([self._spoken[row] for row in chosen.flatten().tolist()]))
        pictures = torch.arange(len(rows)).repeat_interleave(_TEXTS)
        result = self.model.joint("match", texts, states[pictures])[0]
        scores = self.model.match_head(result).squeeze(-1).float()
        right = torch.sigmoid(_MATCH[0] * (cosines.flatten() - _MATCH[1]))
        return {
            "photographs": 2 * (1 - held).mean(),
            "photograph_match": F.binary_cross_entropy_with_logits(scores, right),
        }

    def _mixtures(self, count: int, generator: torch.Generator) -> Float[Tensor, "count state_width"]:
        """Vectors of photographs that might be: mixtures of one to four classes."""
        classes = self._photographs.classes
        weights = torch.rand(count, 4, generator=generator) ** 3
        chosen = torch.randint(len(classes), (count, 4), generator=generator)
        mixed = (weights[..., None] * classes[chosen]).sum(dim=1)
        return unit(mixed) * mixed.shape[1] ** 0.5

    def _states(self, rows: Int[Tensor, " rows"]) -> TokenStates:
        hidden = self._hidden[rows].float()
        return TokenStates(hidden, torch.ones(hidden.shape[:2], dtype=torch.bool), "image")
