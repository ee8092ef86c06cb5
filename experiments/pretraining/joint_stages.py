"""Trains texts and joint layers with frozen states of pictures."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.pretraining.ahead import in_thread
from experiments.pretraining.grounding import GroundingHead, fragments_hold, spoken_of
from experiments.pretraining.joint_batches import PairedTexts, WordSource
from polyglance.kernels.processor import native_autocast
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.nn.states import TokenStates
from polyglance.scenes.sampling import Scene
from polyglance.training.loop import Losses
from polyglance.training.losses import hard_negatives, info_nce
from polyglance.training.seeds import generator_of


class WordLosses:
    """The losses of a step: twin encoder, cross-encoder, answers and grounding, on scenes and gallery together."""

    def __init__(
        self,
        model: SingleStreamModel,
        source: WordSource,
        scenes: TokenStates,
        gallery: TokenStates,
        held: tuple[str, ...] = (),
    ) -> None:
        """scenes, gallery: the states of all pictures. source: of the texts. held: the names of weights that are not
        trained, beside those of pictures."""
        self.model, self.source, self._held = model, source, held
        self.states = TokenStates(
            torch.cat([scenes.hidden, gallery.hidden]), torch.cat([scenes.mask, gallery.mask]), "image"
        )
        self.scale = nn.Parameter(torch.tensor(-math.log(model.config.temperature), device=model.device))
        # A model may have room for more states than the pictures of another model have
        self.grounding = GroundingHead(model.config.width, scenes.hidden.shape[1]).to(model.device)
        self._batch = in_thread(source)

    @property
    def trained(self) -> nn.Module:
        """The trained modules: all except the picture layers and what is held; and the temperature."""
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not name.startswith((*self.model.of_pictures, *self._held)))
        trained = nn.ModuleDict({"model": self.model, "grounding": self.grounding})
        trained.register_parameter("scale", self.scale)
        return trained

    def keep_temperature(self) -> None:
        """Stores the trained temperature in the model, as the start of the next stage."""
        self.model.config = replace(self.model.config, temperature=1 / self.scale.exp().item())

    def __call__(self, step: int) -> Losses:
        batch = self._batch(step)
        generator = generator_of(self.source.seed, step)
        model, pairs = self.model, len(batch.rows)
        with native_autocast(model.device):
            texts = model.read_text(batch.texts)
            of_texts, of_pictures = model.embed(texts), model.embed(self._states(batch.rows))
            likeness = of_texts[:pairs] @ of_pictures.T
            scale, also_true = self.scale.exp().clamp(max=100), batch.also_true.to(model.device)
            embed = info_nce(of_texts[:pairs], of_pictures, scale, also_true, of_texts[pairs:])

            text, row = chosen_pairs(batch, likeness, generator)
            matched, halfway = model.joint("match", texts[text.to(model.device)], self._states(row))
            questions = model.read_text(batch.questions)
            asked, asked_halfway = model.joint("answer", questions, self._states(batch.question_rows))
            scores, answers = model.match_head(matched).squeeze(-1).float(), model.answer_head(asked).float()
        return {
            "embed": embed,
            **match_terms(scores, pairs),
            "answer": F.cross_entropy(answers, batch.answers.to(answers.device)),
            **grounding_terms(self.grounding, self.source.scene, batch, torch.stack([text, row]), matched, halfway),
            "cells_question": 0.1 * self.grounding.cell_loss(asked_halfway, batch.question_cells),
        }

    def _states(self, rows: Tensor) -> TokenStates:
        return self.states[rows.to(self.states.hidden.device)]


def chosen_pairs(
    batch: PairedTexts, likeness: Float[Tensor, "pairs pairs"], generator: torch.Generator
) -> Int[Tensor, "2 all_pairs"]:
    """Returns (text, row of the states) for the right pairs, as many wrong ones, and the foils with their scenes.

    A wrong pair shares its text or its picture with the right one. A third of the captions get a wrong text that the
    twin encoder ranks high, a third get a scene with nearly the same things; all other texts get a wrong picture that
    the twin encoder ranks high.
    """
    pairs, third = len(batch.rows), len(batch.captions) // 3
    own = torch.arange(pairs)
    wrong = torch.stack([own, batch.rows[hard_negatives(likeness, batch.also_true, 15.0, generator)]])
    wrong[0, :third] = hard_negatives(likeness.T, batch.also_true.T, 15.0, generator)[:third]
    wrong[1, :third] = batch.rows[:third]
    near = batch.near_rows[third : 2 * third]
    wrong[1, third : 2 * third] = torch.where(near < 0, wrong[1, third : 2 * third], near)
    foils = torch.stack([pairs + torch.arange(len(batch.captions)), batch.rows[: len(batch.captions)]])
    return torch.cat([torch.stack([own, batch.rows]), wrong, foils], dim=1)


def match_terms(scores: Float[Tensor, " all_pairs"], pairs: int) -> Losses:
    """Scores each pair alone, and relative to the right pair with the same text or picture."""
    right, wrong, foils = scores[:pairs], scores[pairs : 2 * pairs], scores[2 * pairs :]
    return {
        "match": F.softplus(-right).mean() + F.softplus(wrong).mean(),
        "foil": F.softplus(foils).mean(),
        "rank": F.softplus(wrong - right).mean() + F.softplus(foils - right[: len(foils)]).mean(),
    }


def grounding_terms(
    head: GroundingHead,
    scene_of: Callable[[int], Scene | None],
    batch: PairedTexts,
    pairs: Int[Tensor, "2 all_pairs"],
    matched: Float[Tensor, "all_pairs width"],
    halfway: Float[Tensor, "all_pairs tokens width"],
) -> Losses:
    """The losses of fragments and cells for all pairs of a caption, true or false, and a scene.

    scene_of: returns the scene in a row of the states, or None for another picture. pairs: what `chosen_pairs`
    returned. matched, halfway: the results of these pairs, and their states half-way up.
    """
    meant = (*batch.captions, *(None for _ in batch.rows[len(batch.captions) :]), *batch.false_captions)
    known = [
        (number, scene, caption)
        for number, (text, row) in enumerate(pairs.T.tolist())
        if (scene := scene_of(row)) and (caption := meant[text])
    ]
    chosen, scenes, captions = zip(*known, strict=True)
    rows = torch.tensor(chosen, device=matched.device)
    return {
        "fragments": head.fragment_loss(matched[rows], fragments_hold(scenes, captions)),
        "cells": 0.1 * head.cell_loss(halfway[rows], spoken_of(scenes, captions)),
    }
