"""The last stage: texts and pictures grounded in each other, from picture states that are frozen and kept in memory."""

import math
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from polyglance.data.gallery import GalleryEntry
from polyglance.models.protocol import TextBatch
from polyglance.models.single_stream import SingleStreamModel
from polyglance.nn.states import TokenStates
from polyglance.scenes import meaning as m
from polyglance.scenes.captions import sample_caption
from polyglance.scenes.foils import sample_foil
from polyglance.scenes.grammar import grammar
from polyglance.scenes.questions import ANSWERS, sample_question
from polyglance.scenes.sampling import Scene
from polyglance.scenes.truth import SceneIndex
from polyglance.scenes.world import EMOJI_OF
from polyglance.training.grounding import GroundingHead, fragments_hold, spoken_of
from polyglance.training.loop import Losses
from polyglance.training.losses import hard_negatives, info_nce


@dataclass(frozen=True)
class WordBatch:
    """One step's texts. Pictures are rows of the scenes or, behind them, of the gallery.

    texts: the captions, the names, and last a foil for each caption. rows: what captions and names belong to.
    also_true[i, j]: text i may be true of text j's picture. near_rows: for each caption a scene that shows most of what
    it names and of which it is false, or -1.
    """

    texts: TextBatch
    rows: Int[Tensor, " pairs"]
    also_true: Bool[Tensor, "pairs pairs"]
    captions: Sequence[m.Caption]
    false_captions: Sequence[m.Caption]
    near_rows: Int[Tensor, " captions"]
    questions: TextBatch
    question_rows: Int[Tensor, " questions"]
    question_cells: Float[Tensor, "questions cells parts"]
    answers: Int[Tensor, " questions"]


@dataclass
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
    index: SceneIndex = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.index = SceneIndex(self.scenes)

    def __call__(self, step: int) -> WordBatch:
        rng = random.Random(f"words {self.seed} {step}")
        fragments = rng.choice((1, 1, 1, 2, 2, 3))
        rows = rng.sample(range(len(self.scenes)), self.captions)
        captions, foils = zip(*(self._caption_and_foil(self.scenes[row], fragments, rng) for row in rows), strict=True)
        near = [self.index.near_miss(caption, rng) for caption in captions]
        speakers = [grammar(rng.choice(self.languages)) for _ in rows]
        true, false = (
            [_loosely(speaker.caption(caption), rng) for speaker, caption in zip(speakers, said, strict=True)]
            for said in (captions, foils)
        )
        emoji = rng.sample(range(len(self.gallery)), self.names)
        names = [self.name(row, rng) for row in emoji]
        question_rows = rng.sample(range(len(self.scenes)), self.questions)
        asked = [sample_question(self.scenes[row], rng) for row in question_rows]
        return WordBatch(
            texts=self.encode(true + names + false),
            rows=torch.tensor(rows + [len(self.scenes) + row for row in emoji]),
            also_true=self._also_true(captions, rows, names, emoji),
            captions=captions,
            false_captions=foils,
            near_rows=torch.tensor([-1 if row is None else row for row in near]),
            questions=self.encode([self.say(question, rng) for question, _ in asked]),
            question_rows=torch.tensor(question_rows),
            question_cells=spoken_of([self.scenes[row] for row in question_rows], [question for question, _ in asked]),
            answers=torch.tensor([ANSWERS.index(answer) for _, answer in asked]),
        )

    def say(self, meaning: m.Caption | m.Question, rng: random.Random) -> str:
        """The meaning in a language drawn at random."""
        speaker = grammar(rng.choice(self.languages))
        return speaker.caption(meaning) if isinstance(meaning, tuple) else speaker.say(meaning)

    def name(self, row: int, rng: random.Random) -> str:
        """The name of an emoji in one of the languages in which it is not held out."""
        entry = self.gallery[row]
        seen = [language for language in self.languages if not entry.name_is_held_out(language)]
        return entry.names[rng.choice(seen)]

    def _caption_and_foil(self, scene: Scene, fragments: int, rng: random.Random) -> tuple[m.Caption, m.Caption]:
        while True:
            caption = sample_caption(scene, rng, fragments)
            foil = sample_foil(scene, caption, rng)
            if foil is not None:
                return caption, foil

    def _also_true(
        self, captions: Sequence[m.Caption], rows: Sequence[int], names: Sequence[str], emoji: Sequence[int]
    ) -> Bool[Tensor, "texts texts"]:
        """A caption may be true of an emoji if it only names a thing; a name of a scene in which its emoji stands."""
        count = len(rows)
        may = torch.zeros(count + len(names), count + len(names), dtype=torch.bool)
        scenes = [self.scenes[row] for row in rows]
        index = SceneIndex(scenes)
        for i, caption in enumerate(captions):
            may[i, list(chain(*index.find(caption)))] = True
            may[i, count:] = _names_a_thing(caption)
        shown = [{EMOJI_OF.get(thing.kind) for thing in scene.things} for scene in scenes]
        for i, (name, row) in enumerate(zip(names, emoji, strict=True), count):
            may[i, :count] = torch.tensor([self.gallery[row].id in there for there in shown])
            may[i, count:] = torch.tensor([name == other for other in names])
        return may


def _names_a_thing(caption: m.Caption) -> bool:
    match caption:
        case (m.Shows(m.Phrase(size=None, plate=None)),):
            return True
    return False


def _loosely(caption: str, rng: random.Random) -> str:
    """People leave the full stop out of a query."""
    return caption[:-1] if rng.random() < 0.5 else caption


class WordLosses:
    """The losses of a step: twin encoder, cross-encoder, answers and grounding, over scenes and gallery at once."""

    def __init__(self, model: SingleStreamModel, source: WordSource, scenes: TokenStates, gallery: TokenStates) -> None:
        self.model, self.source = model, source
        self.states = TokenStates(
            torch.cat([scenes.hidden, gallery.hidden]), torch.cat([scenes.mask, gallery.mask]), "image"
        )
        self.scale = nn.Parameter(torch.tensor(math.log(1 / 0.07), device=model.device))
        self.grounding = GroundingHead(model.config.width).to(model.device)
        self._ahead: tuple[int, Future[WordBatch]] | None = None
        self._thread = ThreadPoolExecutor(1)

    @property
    def trained(self) -> nn.Module:
        """What this stage trains: all but the picture layers, and the temperature."""
        frozen = ("stem", "image_position", "image_layers", "compressor")
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not name.startswith(frozen))
        trained = nn.ModuleDict({"model": self.model, "grounding": self.grounding})
        trained.register_parameter("scale", self.scale)
        return trained

    def __call__(self, step: int) -> Losses:
        batch = self._batch(step)
        generator = torch.Generator().manual_seed(self.source.seed << 32 | step)
        model, pairs, captions = self.model, len(batch.rows), len(batch.captions)
        pictures = self._states(batch.rows)
        with torch.autocast(model.device.type, torch.bfloat16):
            texts = model.read_text(batch.texts)
            of_texts, of_pictures = model.embed(texts), model.embed(pictures)
            also_true = batch.also_true.to(of_texts.device)
            scale = self.scale.exp().clamp(max=100)
            embed = info_nce(of_texts[:pairs], of_pictures, scale, also_true, of_texts[pairs:])

            wrong = self._wrong_pairs(batch, of_texts[:pairs] @ of_pictures.T, generator)
            right = torch.stack([torch.arange(pairs), batch.rows])
            false = torch.stack([torch.arange(pairs, len(texts)), batch.rows[:captions]])
            text, row = torch.cat([right, wrong, false], dim=1)
            matched, halfway = model.joint("match", texts[text.to(model.device)], self._states(row))
            asked, asked_halfway = model.joint(
                "answer", model.read_text(batch.questions), self._states(batch.question_rows)
            )
            true, untrue, foil = model.match_head(matched).squeeze(-1).float().split((pairs, pairs, captions))
            answers = model.answer_head(asked).float()
        of_scenes = (row < len(self.source.scenes)) & ((text < captions) | (text >= pairs))
        meant = (*batch.captions, *((),) * (pairs - captions), *batch.false_captions)
        meanings = [meant[i] for i in text[of_scenes]]
        scenes = [self.source.scenes[i] for i in row[of_scenes]]
        grounded = of_scenes.to(model.device)
        return {
            "embed": embed,
            "match": F.softplus(-true).mean() + F.softplus(untrue).mean(),
            "foil": F.softplus(foil).mean(),
            "rank": F.softplus(untrue - true).mean() + F.softplus(foil - true[:captions]).mean(),
            "fragments": self.grounding.fragment_loss(matched[grounded], fragments_hold(scenes, meanings)),
            "cells": 0.1 * self.grounding.cell_loss(halfway()[grounded], spoken_of(scenes, meanings)),
            "cells_question": 0.1 * self.grounding.cell_loss(asked_halfway(), batch.question_cells),
            "answer": F.cross_entropy(answers, batch.answers.to(answers.device)),
        }

    def _wrong_pairs(
        self, batch: WordBatch, similarities: Float[Tensor, "texts texts"], generator: torch.Generator
    ) -> Int[Tensor, "2 texts"]:
        """(text, row of the states) of one wrong pair for each right one, which has its text or its picture.

        For a third of the captions it is a picture that the twin encoder takes for the right one, for a third a text
        that it takes for the right one, for a third a scene with nearly the same things; for names the first of these.
        """
        text = torch.arange(len(batch.rows))
        row = batch.rows[hard_negatives(similarities, batch.also_true, 15.0, generator)]
        third = len(batch.captions) // 3
        text[:third] = hard_negatives(similarities.T, batch.also_true.T, 15.0, generator)[:third]
        row[:third] = batch.rows[:third]
        near = batch.near_rows[third : 2 * third]
        row[third : 2 * third] = torch.where(near < 0, row[third : 2 * third], near)
        return torch.stack([text, row])

    def _states(self, rows: Tensor) -> TokenStates:
        return self.states[rows.to(self.states.hidden.device)]

    def _batch(self, step: int) -> WordBatch:
        """This step's texts; the next step's are drawn meanwhile in a thread."""
        batch = self._ahead[1].result() if self._ahead and self._ahead[0] == step else self.source(step)
        self._ahead = (step + 1, self._thread.submit(self.source, step + 1))
        return batch
