"""The last stage: texts and pictures grounded in each other, from picture states that are frozen and kept in memory."""

import math
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from polyglance.data.gallery import GalleryEntry
from polyglance.models.protocol import TextBatch
from polyglance.models.single_stream import SingleStreamModel
from polyglance.nn.states import TokenStates
from polyglance.scenes.captions import sample_caption
from polyglance.scenes.foils import sample_foil
from polyglance.scenes.grammar import grammar
from polyglance.scenes.meaning import Caption, Question
from polyglance.scenes.questions import ANSWERS, sample_question
from polyglance.scenes.sampling import Scene
from polyglance.scenes.truth import SceneIndex
from polyglance.training.grounding import PARTS, grounding_loss, spoken_of
from polyglance.training.loop import Losses
from polyglance.training.losses import hard_negatives, info_nce

T = TypeVar("T")


@dataclass(frozen=True)
class WordBatch:
    """One step's texts. Captions and foils belong to `caption_rows`, names to `name_rows` of the gallery."""

    captions: TextBatch
    foils: TextBatch
    caption_rows: Int[Tensor, " captions"]
    also_true: Bool[Tensor, "captions captions"]
    names: TextBatch
    name_rows: Int[Tensor, " names"]
    questions: TextBatch
    question_rows: Int[Tensor, " questions"]
    answers: Int[Tensor, " questions"]
    caption_cells: Float[Tensor, "captions cells parts"]
    foil_cells: Float[Tensor, "captions cells parts"]
    question_cells: Float[Tensor, "questions cells parts"]


@dataclass(frozen=True)
class WordSource:
    """Draws the texts of a step from the step's number.

    scenes: the training scenes. gallery: the emoji; of its names only those not held out are used. encode: the
    tokenizer. The captions of one step have the same number of fragments, so that little is padding.
    """

    scenes: Sequence[Scene]
    gallery: Sequence[GalleryEntry]
    languages: Sequence[str]
    encode: Callable[[Sequence[str]], TextBatch]
    seed: int
    captions: int
    names: int
    questions: int

    def __call__(self, step: int) -> WordBatch:
        rng = random.Random(f"words {self.seed} {step}")
        fragments = rng.choice((1, 1, 1, 2, 2, 3))
        rows = rng.sample(range(len(self.scenes)), self.captions)
        captions, foils = [], []
        for row in rows:
            foil = None
            while foil is None:
                caption = sample_caption(self.scenes[row], rng, fragments)
                foil = sample_foil(self.scenes[row], caption, rng)
            captions.append(caption)
            foils.append(foil)
        index = SceneIndex([self.scenes[row] for row in rows])
        also_true = torch.zeros(len(rows), len(rows), dtype=torch.bool)
        for i, caption in enumerate(captions):
            true, arguable = index.find(caption)
            also_true[i, true + arguable] = True
        said = [grammar(rng.choice(self.languages)) for _ in rows]

        emoji = rng.sample(range(len(self.gallery)), self.names)
        question_rows = rng.sample(range(len(self.scenes)), self.questions)
        asked = [sample_question(self.scenes[row], rng) for row in question_rows]
        return WordBatch(
            captions=self.encode([_loosely(g.caption(c), rng) for g, c in zip(said, captions, strict=True)]),
            foils=self.encode([_loosely(g.caption(c), rng) for g, c in zip(said, foils, strict=True)]),
            caption_rows=torch.tensor(rows),
            also_true=also_true,
            names=self.encode([self.name(row, rng) for row in emoji]),
            name_rows=torch.tensor(emoji),
            questions=self.encode([self.say(question, rng) for question, _ in asked]),
            question_rows=torch.tensor(question_rows),
            answers=torch.tensor([ANSWERS.index(answer) for _, answer in asked]),
            caption_cells=spoken_of(index.scenes, captions),
            foil_cells=spoken_of(index.scenes, foils),
            question_cells=spoken_of([self.scenes[row] for row in question_rows], [question for question, _ in asked]),
        )

    def say(self, meaning: Caption | Question, rng: random.Random) -> str:
        """The meaning in a language drawn at random."""
        speaker = grammar(rng.choice(self.languages))
        return speaker.caption(meaning) if isinstance(meaning, tuple) else speaker.say(meaning)

    def name(self, row: int, rng: random.Random) -> str:
        """The name of an emoji in one of the languages in which it is not held out."""
        entry = self.gallery[row]
        seen = [language for language in self.languages if not entry.name_is_held_out(language)]
        return entry.names[rng.choice(seen)]


def _loosely(caption: str, rng: random.Random) -> str:
    """People leave the full stop out of a query."""
    return caption[:-1] if rng.random() < 0.5 else caption


class WordLosses:
    """The losses of a step: twin encoder, cross-encoder, answers and masked words, for scenes and for the gallery."""

    def __init__(
        self,
        model: SingleStreamModel,
        source: WordSource,
        scenes: TokenStates,
        gallery: TokenStates,
        ground_from: int,
    ) -> None:
        self.model, self.source, self.scenes, self.gallery = model, source, scenes, gallery
        self.ground_from = ground_from
        self.scale = nn.Parameter(torch.tensor(math.log(1 / 0.07), device=model.device))
        self.cells = nn.Linear(model.config.width, PARTS, device=model.device)
        self._ahead: tuple[int, Future[WordBatch]] | None = None
        self._thread = ThreadPoolExecutor(1)

    @property
    def trained(self) -> nn.Module:
        """What this stage trains: all but the picture layers, and the temperature."""
        frozen = ("stem", "image_position", "image_layers", "compressor")
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not name.startswith(frozen))
        trained = nn.ModuleDict({"model": self.model, "cells": self.cells})
        trained.register_parameter("scale", self.scale)
        return trained

    def __call__(self, step: int) -> Losses:
        batch = self._batch(step)
        generator = torch.Generator().manual_seed(self.source.seed << 32 | step)
        model = self.model
        mixed = torch.autocast(model.device.type, torch.bfloat16)
        pictures, faces = self._states(self.scenes, batch.caption_rows), self._states(self.gallery, batch.name_rows)
        with mixed:
            captions, foils, names = map(model.read_text, (batch.captions, batch.foils, batch.names))
            of_captions, of_foils, of_names = map(model.embed, (captions, foils, names))
            of_pictures, of_faces = map(model.embed, (pictures, faces))
        scale, same = self.scale.exp().clamp(max=100), _same(batch.names.ids)
        terms = {
            "embed": info_nce(of_captions, of_pictures, scale, batch.also_true.to(scale.device), of_foils),
            "embed_names": 0.5 * info_nce(of_names, of_faces, scale, same),
        }
        wrong = hard_negatives(of_captions @ of_pictures.T, batch.also_true, 15.0, generator)
        wrong_faces = hard_negatives(of_names @ of_faces.T, same, 15.0, generator)
        asked = self._states(self.scenes, batch.question_rows)
        half = len(pictures) // 2
        with mixed:
            true, false = model.joint("match", captions, pictures), model.joint("match", foils, pictures)
            terms["match"] = _binary(self._truth(true), 1) + _binary(model.match(captions, pictures[wrong]), 0)
            terms["foil"] = _binary(self._truth(false), 0)
            terms["match_names"] = _binary(model.match(names, faces), 1) + _binary(
                model.match(names, faces[wrong_faces]), 0
            )
            asking = model.joint("answer", model.read_text(batch.questions), asked)
            answers = model.answer_head(asking[:, 0]).float()
            terms["answer"] = F.cross_entropy(answers, batch.answers.to(answers.device))
            if step >= self.ground_from:
                terms["cells"] = 0.1 * self._grounded(true, batch.caption_cells)
                terms["cells_foil"] = 0.1 * self._grounded(false, batch.foil_cells)
                terms["cells_question"] = 0.1 * self._grounded(asking, batch.question_cells)
            terms["masked"] = 0.3 * self._masked(_rows(batch.captions, half), pictures[:half], generator)
            terms["masked_names"] = 0.2 * self._masked(batch.names, faces, generator)
        return terms

    def _truth(self, joint: Float[Tensor, "rows tokens width"]) -> Float[Tensor, " rows"]:
        """The match logits, from states that serve the grounding too."""
        logits: Tensor = self.model.match_head(joint[:, 0]).squeeze(-1).float()
        return logits

    def _grounded(
        self, joint: Float[Tensor, "rows tokens width"], spoken_of: Float[Tensor, "rows cells parts"]
    ) -> Tensor:
        """The loss of telling, from the image tokens, which cells the text speaks of."""
        return grounding_loss(self.cells(joint[:, -spoken_of.shape[1] :]), spoken_of.to(joint.device))

    def _masked(self, texts: TextBatch, images: TokenStates, generator: torch.Generator) -> Tensor:
        """Masked-language modelling (BERT: arXiv:1810.04805) with the picture in view; a quarter is masked."""
        hidden = (torch.rand(texts.ids.shape, generator=generator).to(texts.ids.device) < 0.25) & texts.mask
        hidden[:, 0] |= ~hidden.any(dim=1)
        ids = texts.ids.masked_fill(hidden, self.model.tokenizer.mask_id)
        states = self.model.joint("match", self.model.read_text(TextBatch(ids, texts.mask)), images)
        logits = states[:, 1 : 1 + ids.shape[1]][hidden] @ self.model.token_embedding.weight.T
        return F.cross_entropy(logits.float(), texts.ids[hidden])

    def _states(self, states: TokenStates, rows: Tensor) -> TokenStates:
        return states[rows.to(states.hidden.device)]

    def _batch(self, step: int) -> WordBatch:
        """This step's texts; the next step's are drawn meanwhile in a thread."""
        batch = self._ahead[1].result() if self._ahead and self._ahead[0] == step else self.source(step)
        self._ahead = (step + 1, self._thread.submit(self.source, step + 1))
        return batch


def _rows(texts: TextBatch, count: int) -> TextBatch:
    return TextBatch(texts.ids[:count], texts.mask[:count])


def _same(ids: Int[Tensor, "rows tokens"]) -> Bool[Tensor, "rows rows"]:
    """Where two rows are the same text."""
    return (ids[:, None] == ids[None]).all(dim=-1)


def _binary(logits: Tensor, truth: int) -> Tensor:
    """Binary cross-entropy of the match logits."""
    return F.softplus(-logits if truth else logits).mean()
