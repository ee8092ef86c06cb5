"""Joint layers and texts, then all tasks, learn to embed, match and answer with frozen states of pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.bundled_model.joint_batches import JointBatch, JointSource
from experiments.bundled_model.photographs import ALIKE, Photographs
from experiments.bundled_model.picture_stage import name_loss
from experiments.bundled_model.referents import ReferentHead
from experiments.bundled_model.text_stage import encoded, lesson_terms
from experiments.pretraining.ahead import ahead
from experiments.pretraining.grounding import GroundingHead
from experiments.pretraining.joint_stages import chosen_pairs, grounding_terms, match_terms
from polyglance.kernels.processor import native_autocast
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.nn.encoder import unit
from polyglance.nn.states import TokenStates
from polyglance.training.loop import Losses
from polyglance.training.losses import info_nce
from polyglance.training.seeds import generator_of

_NAMED: Final = 160
"""The number of drawings in a step whose names are told from all others."""
_SCALE: Final = 25.0
"""The inverse temperature of telling names apart."""


@dataclass(frozen=True)
class Named:
    """All variants of emoji, clip art and flags.

    rows: of their states. names: the vectors of all names. of: the row of each variant's name among these.
    """

    rows: Int[Tensor, " variants"]
    names: Float[Tensor, "names width"]
    of: Int[Tensor, " variants"]

    def drawn(self, generator: torch.Generator) -> Int[Tensor, " drawn"]:
        """Draws `_NAMED` of the variants."""
        return torch.randint(len(self.rows), (_NAMED,), generator=generator).to(self.rows.device)

    def to(self, device: torch.device) -> "Named":
        return Named(self.rows.to(device), self.names.to(device), self.of.to(device))


class JointLosses:
    """The losses of a step: twin encoder, cross-encoder, answers and grounding, of scenes, drawings and photographs.

    hidden: the states of all pictures, the scenes first. named: the drawings. spoken: the text of each lesson.
    tasks_alone: whether to train only the adapters and heads of the tasks, without grounding, in a frozen body.
    """

    def __init__(
        self,
        model: SingleStreamModel,
        source: JointSource,
        hidden: Float[Tensor, "pictures states state_width"],
        named: Named,
        photographs: Photographs,
        spoken: Sequence[str],
        tasks_alone: bool = False,
    ) -> None:
        self.model, self.source, self.tasks_alone, device = model, source, tasks_alone, model.device
        self._hidden, self._named = hidden.to(device), named.to(device)
        self._photographs, self._spoken = photographs.to(device), spoken
        self.scale = nn.Parameter(torch.tensor(-math.log(model.config.temperature), device=device))
        self.grounding = GroundingHead(model.config.width, model.config.kept_states).to(device)
        self.referents = ReferentHead(model.config.width).to(device)
        self._batch = ahead(source, device)

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
        batch = self._batch(step).to(self.model.device)
        generator = generator_of(self.source.seed, step)
        named = self._named.drawn(generator)
        photographs = as_states(self._photographs.blended(generator))
        pairs = batch.pairs
        parts = [self._states(pairs.rows), self._states(self._named.rows[named]), photographs]
        with native_autocast(self.model.device):
            texts = self.model.read_text(pairs.texts)
            of_texts, of_pictures = self.model.embed(texts), self.model.embed(TokenStates.joined(parts))
            paired, drawn, held = of_pictures.split([len(part) for part in parts])
            terms = self._pair_terms(batch, texts, of_texts, paired, generator)
            terms |= self._answer_terms(batch)
            terms["names"] = 0.5 * name_loss(drawn, self._named.names, self._named.of[named], _SCALE)
            terms |= self._photograph_terms(photographs, held, generator)
        return terms

    def _pair_terms(
        self,
        batch: JointBatch,
        texts: TokenStates,
        of_texts: Float[Tensor, "texts width"],
        of_pictures: Float[Tensor, "pairs width"],
        generator: torch.Generator,
    ) -> Losses:
        """Texts and pictures that belong together: twin encoder, cross-encoder, fragments, and the lessons beside."""
        model, pairs = self.model, batch.pairs
        right, foils = len(pairs.rows), len(pairs.captions)
        said, false, lessons = of_texts.split([right, foils, len(batch.lessons)])
        scale = self.scale.exp().clamp(max=100)
        embed = info_nce(said, of_pictures, scale, pairs.also_true, false)
        text, row = chosen_pairs(pairs, said @ of_pictures.T, generator)
        matched, halfway = model.joint("match", texts[: right + foils].trimmed()[text], self._states(row))
        scores = model.match_head(matched).squeeze(-1).float()
        taught = lesson_terms(lessons, self._photographs.targets[batch.lessons], batch.lessons)
        terms = {"embed": embed, **taught, **match_terms(scores, right)}
        if self.tasks_alone:
            return terms
        pairs_of_all = torch.stack([text, row])
        return terms | grounding_terms(self.grounding, self.source.scene, pairs, pairs_of_all, matched, halfway)

    def _answer_terms(self, batch: JointBatch) -> Losses:
        asked = batch.asked
        results, halfway = self.model.joint("answer", self.model.read_text(asked.texts), self._states(asked.rows))
        terms = {"answer": F.cross_entropy(self.model.answer_head(results).float(), asked.answers)}
        if self.tasks_alone:
            return terms
        known = len(asked.referents)
        return {
            **terms,
            "cells_question": 0.1 * self.grounding.cell_loss(halfway[:known], asked.cells),
            "referents": 0.3 * self.referents.loss(halfway[:known, 0], asked.referents),
        }

    def _photograph_terms(
        self, photographs: TokenStates, embedded: Float[Tensor, "photographs width"], generator: torch.Generator
    ) -> Losses:
        """Photographs keep their vectors, and match texts as these vectors say, and in this order."""
        model = self.model
        vectors = untaught_vectors(model, photographs)
        matches = self._photographs.matched(vectors, generator)
        texts = model.read_text(
            encoded(model, [self._spoken[row] for row in matches.lessons.tolist()]).to(model.device)
        )
        pairs = texts[torch.arange(len(texts)).repeat_interleave(ALIKE)], photographs[matches.shown.flatten()]
        scores = model.match_head(model.joint("match", *pairs)[0]).view(-1, ALIKE).float()
        order = matches.logits.softmax(dim=1)
        return {
            "photographs": 2 * (1 - (embedded * vectors).sum(dim=-1)).mean(),
            "photograph_match": F.binary_cross_entropy_with_logits(scores, matches.logits.sigmoid()),
            "photograph_order": F.kl_div(scores.log_softmax(dim=1), order, reduction="batchmean"),
        }

    def _states(self, rows: Int[Tensor, " rows"]) -> TokenStates:
        return as_states(self._hidden[rows.to(self._hidden.device)].float())


def as_states(hidden: Float[Tensor, "pictures states state_width"]) -> TokenStates:
    return TokenStates(hidden, torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device), "image")


def untaught_vectors(model: SingleStreamModel, photographs: TokenStates) -> Float[Tensor, "photographs width"]:
    """Returns the vectors that the projection of a whole picture gives at first: the first directions of the space, and
    nothing in the others."""
    whole = photographs.hidden[:, -1]
    return unit(F.pad(whole, (0, model.config.embedding_dim - whole.shape[1])))
