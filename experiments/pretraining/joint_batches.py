"""Batches of the last two stages: true and false captions, near misses, names and questions, drawn for each step."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from experiments.pretraining.grounding import spoken_of
from polyglance.data.gallery import GalleryEntry
from polyglance.models.protocol import TextBatch
from polyglance.scenes import meaning as m
from polyglance.scenes.captions import sample_caption
from polyglance.scenes.foils import sample_foil
from polyglance.scenes.grammar import grammar
from polyglance.scenes.questions import ANSWERS, sample_question
from polyglance.scenes.sampling import Scene
from polyglance.scenes.truth import SceneIndex
from polyglance.scenes.world import EMOJI_OF


class PairedTexts(Protocol):
    """The part of a step's texts that pairs are chosen from, see `WordBatch`."""

    @property
    def rows(self) -> Int[Tensor, " pairs"]: ...
    @property
    def also_true(self) -> Bool[Tensor, "pairs pairs"]: ...
    @property
    def captions(self) -> Sequence[m.Caption]: ...
    @property
    def false_captions(self) -> Sequence[m.Caption]: ...
    @property
    def near_rows(self) -> Int[Tensor, " captions"]: ...


@dataclass(frozen=True)
class WordBatch:
    """The texts of one step. Pictures are given by row: the scenes first, then the gallery.

    texts: the captions, then the names, then a foil for each caption. rows: the pictures of the captions and names.
    also_true[i, j]: whether text i may be true of the picture of text j. captions, false_captions: the meanings of the
    captions and of their foils. near_rows: for each caption, a scene that it is false of and that shows most of what it
    names, or -1. questions, question_rows, answers: the questions, their pictures and the indices of their answers.
    question_cells: the cells that a question refers to.
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


@dataclass(frozen=True)
class WordSource:
    """Draws the texts of a step from the step's number.

    The captions of one step have the same number of fragments, which keeps padding short.

    index: the training scenes. gallery: the emoji; held-out names are not used. languages: the codes to draw from.
    encode: the tokenizer. seed: of all draws. captions, names, questions: the number of each per step.
    """

    index: SceneIndex
    gallery: Sequence[GalleryEntry]
    languages: Sequence[str]
    encode: Callable[[Sequence[str]], TextBatch]
    seed: int
    captions: int
    names: int
    questions: int

    @property
    def scenes(self) -> Sequence[Scene]:
        return self.index.scenes

    def __call__(self, step: int) -> WordBatch:
        rng = random.Random(f"words {self.seed} {step}")
        said = drawn_captions(self.index, self.captions, self.languages, rng)
        emoji = rng.sample(range(len(self.gallery)), self.names)
        names = [self.name(row, rng) for row in emoji]
        question_rows = rng.sample(range(len(self.scenes)), self.questions)
        asked = [sample_question(self.scenes[row], rng) for row in question_rows]
        return WordBatch(
            texts=self.encode([*said.true, *names, *said.false]),
            rows=torch.tensor(said.rows + [len(self.scenes) + row for row in emoji]),
            also_true=self._also_true(said.captions, said.rows, names, emoji),
            captions=said.captions,
            false_captions=said.foils,
            near_rows=torch.tensor(said.near),
            questions=self.encode([self.say(question, rng) for question, _ in asked]),
            question_rows=torch.tensor(question_rows),
            question_cells=spoken_of([self.scenes[row] for row in question_rows], [question for question, _ in asked]),
            answers=torch.tensor([ANSWERS.index(answer) for _, answer in asked]),
        )

    def scene(self, row: int) -> Scene | None:
        """Returns the scene in this row of the states, or None for a picture of the gallery."""
        return self.scenes[row] if row < len(self.scenes) else None

    def say(self, meaning: m.Caption | m.Question, rng: random.Random) -> str:
        """Puts a meaning into words in a random language."""
        speaker = grammar(rng.choice(self.languages))
        return speaker.caption(meaning) if isinstance(meaning, tuple) else speaker.say(meaning)

    def name(self, row: int, rng: random.Random) -> str:
        """Returns the name of an emoji in a random language in which it is not held out."""
        entry = self.gallery[row]
        seen = [language for language in self.languages if not entry.name_is_held_out(language)]
        return entry.names[rng.choice(seen)]

    def _also_true(
        self, captions: Sequence[m.Caption], rows: Sequence[int], names: Sequence[str], emoji: Sequence[int]
    ) -> Bool[Tensor, "texts texts"]:
        """A caption may be true of an emoji if it only names a thing; a name may be true of a scene with its emoji."""
        count = len(rows)
        may = torch.zeros(count + len(names), count + len(names), dtype=torch.bool)
        scenes = [self.scenes[row] for row in rows]
        may[:count] = captions_may_be_true(captions, scenes, len(names))
        shown = [{EMOJI_OF.get(thing.kind) for thing in scene.things} for scene in scenes]
        for i, (name, row) in enumerate(zip(names, emoji, strict=True), count):
            may[i, :count] = torch.tensor([self.gallery[row].id in emoji_ids for emoji_ids in shown])
            may[i, count:] = torch.tensor([name == other for other in names])
        return may


@dataclass(frozen=True)
class DrawnCaptions:
    """Captions of scenes, each with a foil, in words.

    rows: of the scenes. captions, foils: what is meant. near: for each caption, a scene that it is false of and that
    shows most of what it names, or -1. true, false: captions and foils in the same languages.
    """

    rows: list[int]
    captions: Sequence[m.Caption]
    foils: Sequence[m.Caption]
    near: list[int]
    true: list[str]
    false: list[str]


def drawn_captions(index: SceneIndex, count: int, languages: Sequence[str], rng: random.Random) -> DrawnCaptions:
    """Draws captions of different scenes. All have the same number of fragments, which keeps padding short."""
    fragments = rng.choice((1, 1, 1, 2, 2, 3))
    rows = rng.sample(range(len(index.scenes)), count)
    captions, foils = zip(*(caption_and_foil(index.scenes[row], fragments, rng) for row in rows), strict=True)
    near = [index.near_miss(caption, rng) for caption in captions]
    speakers = [grammar(rng.choice(languages)) for _ in rows]
    true, false = (
        [loosely(speaker.caption(caption), rng) for speaker, caption in zip(speakers, said, strict=True)]
        for said in (captions, foils)
    )
    return DrawnCaptions(rows, captions, foils, [-1 if row is None else row for row in near], true, false)


def captions_may_be_true(
    captions: Sequence[m.Caption], scenes: Sequence[Scene], others: int
) -> Bool[Tensor, "captions pictures"]:
    """Returns whether each caption may be true of each of the scenes, and of other pictures behind them.

    A caption may be true of a picture that is no scene if it only names a thing. others: their number.
    """
    may = torch.zeros(len(captions), len(scenes) + others, dtype=torch.bool)
    index = SceneIndex(scenes)
    for row, caption in zip(may, captions, strict=True):
        row[list(chain(*index.find(caption)))] = True
        row[len(scenes) :] = names_a_thing(caption)
    return may


def caption_and_foil(scene: Scene, fragments: int, rng: random.Random) -> tuple[m.Caption, m.Caption]:
    """Samples a true caption of this many fragments that has a foil, and the foil."""
    while True:
        caption = sample_caption(scene, rng, fragments)
        foil = sample_foil(scene, caption, rng)
        if foil is not None:
            return caption, foil


def names_a_thing(caption: m.Caption) -> bool:
    """Whether a caption says no more than that a thing is there, which may be true of a picture that is no scene."""
    match caption:
        case (m.Shows(m.Phrase(size=None, plate=None)),):
            return True
    return False


def loosely(caption: str, rng: random.Random) -> str:
    """Drops the full stop of every other caption, as people do in queries."""
    return caption[:-1] if rng.random() < 0.5 else caption
