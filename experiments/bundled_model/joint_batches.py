"""The texts of a step of the last stages: captions, foils, names and titles of drawings, questions and lessons."""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from experiments.bundled_model.pictures import Variant
from experiments.bundled_model.referents import referents_of
from experiments.pretraining.grounding import spoken_of
from experiments.pretraining.joint_batches import DrawnCaptions, captions_may_be_true, drawn_captions
from polyglance.answering.words import UNKNOWN
from polyglance.data.gallery import GalleryEntry
from polyglance.models.protocol import TextBatch
from polyglance.scenes import meaning as m
from polyglance.scenes.grammar import grammar
from polyglance.scenes.questions import ANSWERS, TEMPLATES, sample_question, sample_question_like
from polyglance.scenes.sampling import Scene
from polyglance.scenes.truth import SceneIndex
from polyglance.scenes.world import EMOJI_OF

ALL_ANSWERS: Final = (*ANSWERS, UNKNOWN)
OFTEN: Final = (
    *(m.IsRelated, m.IsBetween, m.ChooseRelation, m.WhatIsRelated),
    *(m.AreSameSize, m.AreSameColour, m.ArePlatesSameColour, m.WhichIsLarger, m.HowMany),
)
"""Templates that are asked about twice as often as others: those that compare things, and counting."""
HARD: Final = (*(m.IsRelated, m.WhatIsRelated, m.ChooseRelation, m.HowMany, m.AreThereMore, m.IsEither) * 2, *OFTEN)
"""Templates that are asked about more often in the last stage: those answered worst before it, in validation scenes."""
_ALIKE: Final = 0.5
"""The cosine of two names from which both may be true of a picture."""


@dataclass(frozen=True)
class Drawing:
    """An emoji, a flag or a piece of clip art.

    texts: language -> what it may be called. name: the row of its vector among those of all names. rows: those of its
    variants among all variants. emoji: its id in the gallery, or None.
    """

    texts: Mapping[str, Sequence[str]]
    name: int
    rows: Sequence[int]
    emoji: str | None

    def said(self, rng: random.Random) -> str:
        return rng.choice(self.texts[rng.choice(list(self.texts))])


@dataclass(frozen=True)
class Asked:
    """Questions about scenes, then questions about pictures of which nothing is known.

    rows: of their pictures. answers: the indices of the answers. cells: those that each question about a scene refers
    to. referents: what stands there, see `referents`.
    """

    texts: TextBatch
    rows: Int[Tensor, " questions"]
    answers: Int[Tensor, " questions"]
    cells: Float[Tensor, "known cells parts"]
    referents: Int[Tensor, "known roles facts"]

    def to(self, device: torch.device) -> "Asked":
        return Asked(*(getattr(self, field.name).to(device) for field in fields(self)))


@dataclass(frozen=True)
class Pairs:
    """Texts with their pictures, given by row: the scenes first, then the variants.

    texts: captions, names and titles, then a foil of each caption, then lessons. rows: the pictures of captions, names
    and titles. also_true[i, j]: whether text i may be true of the picture of text j. captions, false_captions: the
    meanings of captions and foils. near_rows: for each caption a scene that it is false of and that shows most of what
    it names, or -1.
    """

    texts: TextBatch
    rows: Int[Tensor, " pairs"]
    also_true: Bool[Tensor, "pairs pairs"]
    captions: Sequence[m.Caption]
    false_captions: Sequence[m.Caption]
    near_rows: Int[Tensor, " captions"]

    def to(self, device: torch.device) -> "Pairs":
        """Moves what is compared with outputs of the model. Rows of pictures stay, since negatives are drawn there."""
        return replace(self, texts=self.texts.to(device), also_true=self.also_true.to(device))


@dataclass(frozen=True)
class JointBatch:
    """The texts of one step of the joint stage. lessons: the rows of those behind the pairs' texts."""

    pairs: Pairs
    lessons: Int[Tensor, " lessons"]
    asked: Asked

    def to(self, device: torch.device) -> "JointBatch":
        return JointBatch(self.pairs.to(device), self.lessons.to(device), self.asked.to(device))


@dataclass(frozen=True)
class Counts:
    """The number of each in a step: captions, emoji, clip art, lessons, questions, and questions about pictures that
    are none of scenes."""

    captions: int = 180
    emoji: int = 100
    clip_art: int = 40
    lessons: int = 640
    questions: int = 330
    unknown: int = 30


@dataclass(frozen=True)
class JointSource:
    """Draws the texts of a step from the step's number.

    index: the training scenes. emoji, clip_art: the drawings; the former with flags. likeness: cosines of all names.
    strangers: the rows of variants that no question can be asked about. draw_lessons: returns the rows of a step's
    lessons and their texts. languages: of scenes. encode: the tokenizer. counts: of each kind of text in a step. seed:
    of all draws.
    """

    index: SceneIndex
    emoji: Sequence[Drawing]
    clip_art: Sequence[Drawing]
    likeness: Float[Tensor, "names names"]
    strangers: Sequence[int]
    draw_lessons: Callable[[int, int], tuple[list[int], list[str]]]
    languages: Sequence[str]
    encode: Callable[[Sequence[str]], TextBatch]
    counts: Counts
    seed: int

    @property
    def scenes(self) -> Sequence[Scene]:
        return self.index.scenes

    def scene(self, row: int) -> Scene | None:
        """Returns the scene in this row, or None for another picture."""
        return self.scenes[row] if row < len(self.scenes) else None

    def __call__(self, step: int) -> JointBatch:
        rng = random.Random(f"joint {self.seed} {step}")
        lessons, taught = self.draw_lessons(step, self.counts.lessons)
        return JointBatch(self._pairs(rng, taught), torch.tensor(lessons), self._asked(rng, OFTEN))

    def _pairs(self, rng: random.Random, lessons: Sequence[str]) -> Pairs:
        said = drawn_captions(self.index, self.counts.captions, self.languages, rng)
        drawings = rng.sample(self.emoji, self.counts.emoji) + rng.sample(self.clip_art, self.counts.clip_art)
        names = [drawing.said(rng) for drawing in drawings]
        return Pairs(
            texts=self.encode([*said.true, *names, *said.false, *lessons]),
            rows=torch.tensor(said.rows + [len(self.scenes) + rng.choice(drawing.rows) for drawing in drawings]),
            also_true=self._also_true(said, drawings, names),
            captions=said.captions,
            false_captions=said.foils,
            near_rows=torch.tensor(said.near),
        )

    def hard_questions(self, step: int) -> Asked:
        """Draws the questions of a step of the stage for answers."""
        return self._asked(random.Random(f"questions {self.seed} {step}"), HARD)

    def _asked(self, rng: random.Random, often: Sequence[type[m.Question]]) -> Asked:
        asked = [self.question(rng, often) for _ in range(self.counts.questions)]
        strange = [self.question(rng, often)[1] for _ in range(self.counts.unknown)]
        known = [self.scenes[row] for row, _, _ in asked]
        meanings = [question for _, question, _ in asked]
        rows = [row for row, _, _ in asked] + [len(self.scenes) + rng.choice(self.strangers) for _ in strange]
        answers = [answer for _, _, answer in asked] + [UNKNOWN] * len(strange)
        return Asked(
            texts=self.encode([self._said(question, rng) for question in [*meanings, *strange]]),
            rows=torch.tensor(rows),
            answers=torch.tensor([ALL_ANSWERS.index(answer) for answer in answers]),
            cells=spoken_of(known, meanings),
            referents=referents_of(known, meanings),
        )

    def _said(self, question: m.Question, rng: random.Random) -> str:
        return grammar(rng.choice(self.languages)).say(question)

    @cached_property
    def _able(self) -> dict[type[m.Question], list[int]]:
        """The scenes that rare templates can be asked about."""
        rng = random.Random(f"able {self.seed}")
        rare = (m.AreSameColour, m.ArePlatesSameColour, m.IsBetween, m.IsColour, m.WhatColour, m.ChooseColour)
        return {
            template: [row for row, scene in enumerate(self.scenes) if sample_question_like(scene, template, rng)]
            for template in rare
        }

    def question(self, rng: random.Random, often: Sequence[type[m.Question]]) -> tuple[int, m.Question, str]:
        """Draws a template, then a scene and a question of it; any question where no scene is found.

        often: templates that are drawn more often, once more for each time they stand here.
        """
        template = rng.choice((*TEMPLATES, *often))
        rows = self._able.get(template) or range(len(self.scenes))
        for _ in range(6):
            row = rng.choice(rows)
            if found := sample_question_like(self.scenes[row], template, rng):
                return row, *found
        row = rng.randrange(len(self.scenes))
        return row, *sample_question(self.scenes[row], rng)

    def _also_true(
        self, said: DrawnCaptions, drawings: Sequence[Drawing], names: Sequence[str]
    ) -> Bool[Tensor, "texts texts"]:
        """A caption may be true of a drawing if it only names a thing; a name of a scene that shows the thing, and of a
        drawing with nearly the same name."""
        count = len(said.rows)
        may = torch.zeros(count + len(names), count + len(names), dtype=torch.bool)
        scenes = [self.scenes[row] for row in said.rows]
        may[:count] = captions_may_be_true(said.captions, scenes, len(names))
        kinds = [{thing.kind for thing in scene.things} for scene in scenes]
        emoji = [{EMOJI_OF[kind] for kind in shown if kind in EMOJI_OF} for shown in kinds]
        named = torch.tensor([drawing.name for drawing in drawings])
        may[count:, count:] = self.likeness[named][:, named] > _ALIKE
        for i, (name, drawing) in enumerate(zip(names, drawings, strict=True), count):
            words = " ".join(["", *re.findall(r"\w+", name.lower()), ""])
            shows = [
                drawing.emoji in ids or any(f" {kind} " in words for kind in shown)
                for ids, shown in zip(emoji, kinds, strict=True)
            ]
            may[i, :count] = torch.tensor(shows)
            may[i, count:] |= torch.tensor([name == other for other in names])
        return may


def emoji_drawings(gallery: Sequence[GalleryEntry], variants: Sequence[Variant]) -> list[Drawing]:
    """Returns the emoji with the names that are not held out."""
    rows: dict[int, list[int]] = defaultdict(list)
    for row, variant in enumerate(variants):
        if variant.origin in ("noto", "artists"):
            rows[variant.of].append(row)
    return [
        Drawing(
            {code: [name] for code, name in entry.names.items() if not entry.name_is_held_out(code)},
            number,
            rows[number],
            entry.id,
        )
        for number, entry in enumerate(gallery)
        if rows[number]
    ]
