"""The texts of a step of the bundled model's last stages."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.bundled_model.joint_batches import (
    ALL_ANSWERS,
    HARD,
    OFTEN,
    Counts,
    Drawing,
    JointSource,
    emoji_drawings,
)
from experiments.bundled_model.pictures import Variant
from polyglance.answering.words import UNKNOWN
from polyglance.data.gallery import gallery
from polyglance.languages import DEMO_LANGUAGES
from polyglance.models.protocol import TextBatch
from polyglance.scenes.grammar import grammar
from polyglance.scenes.questions import TEMPLATES, answer
from polyglance.scenes.sampling import sample_scene
from polyglance.scenes.truth import SceneIndex, caption_holds

SCENES = 300
COUNTS = Counts(captions=12, emoji=30, clip_art=0, lessons=4, questions=40, unknown=5)


class Ear:
    """Keeps the texts that it is asked to encode."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, said: Sequence[str]) -> TextBatch:
        self.texts.extend(said)
        return TextBatch(torch.zeros(len(said), 1, dtype=torch.long), torch.ones(len(said), 1, dtype=torch.bool))


@pytest.fixture(scope="module")
def scenes() -> SceneIndex:
    return SceneIndex([sample_scene(seed) for seed in range(SCENES)])


CLIP_ART = [Drawing({"en": [title]}, len(gallery()) + row, [row], None) for row, title in enumerate(("A dog", "Dogma"))]


def source(scenes: SceneIndex, ear: Ear, likeness: torch.Tensor | None = None, counts: Counts = COUNTS) -> JointSource:
    variants = [Variant(Path(entry.path), "noto", row, seed) for row, entry in enumerate(gallery()) for seed in (0, 1)]
    emoji = emoji_drawings(gallery(), variants)
    return JointSource(
        index=scenes,
        emoji=emoji,
        clip_art=CLIP_ART,
        likeness=torch.eye(len(emoji) + len(CLIP_ART)) if likeness is None else likeness,
        strangers=range(len(variants)),
        draw_lessons=lambda step, count: (list(range(count)), [f"lesson {row}" for row in range(count)]),
        languages=DEMO_LANGUAGES,
        encode=ear,
        counts=counts,
        seed=0,
    )


def test_pairs_belong_together_and_foils_do_not(scenes: SceneIndex) -> None:
    ear = Ear()
    draw = source(scenes, ear)
    batch = draw(0).pairs
    texts = ear.texts[: 2 * COUNTS.captions + COUNTS.emoji + COUNTS.lessons]
    names = texts[COUNTS.captions : COUNTS.captions + COUNTS.emoji]
    for row, name in zip((batch.rows[COUNTS.captions :] - SCENES).tolist(), names, strict=True):
        entry = gallery()[row // 2]
        assert name in {text for code, text in entry.names.items() if not entry.name_is_held_out(code)}
    for caption, foil, row in zip(batch.captions, batch.false_captions, batch.rows.tolist(), strict=False):
        assert caption_holds(draw.scenes[row], caption)
        assert caption_holds(draw.scenes[row], foil) is False
    assert texts[-COUNTS.lessons :] == [f"lesson {row}" for row in range(COUNTS.lessons)]


def test_every_template_is_asked_about_and_comparisons_twice_as_often(scenes: SceneIndex) -> None:
    ear = Ear()
    draw = source(scenes, ear)
    asked: Counter[str] = Counter()
    for step in range(8):
        batch = draw(step)
        known = COUNTS.questions
        assert (batch.asked.rows[:known] < SCENES).all()
        assert (batch.asked.rows[known:] >= SCENES).all()
        answers = [ALL_ANSWERS[row] for row in batch.asked.answers.tolist()]
        assert answers[known:] == [UNKNOWN] * COUNTS.unknown
        assert UNKNOWN not in answers[:known]
    for seed in range(800):
        row, question, right = draw.question(random.Random(seed), OFTEN)
        assert answer(draw.scenes[row], question) == right
        asked[type(question).__name__] += 1
    assert {template.__name__ for template in TEMPLATES} - asked.keys() <= {"AreSameColour"}
    assert asked["IsRelated"] > 1.3 * asked["WhatBackground"]


def test_the_last_stage_asks_about_the_hardest_templates_most_and_about_strangers_too(scenes: SceneIndex) -> None:
    draw = source(scenes, Ear())
    hard = Counter(type(draw.question(random.Random(seed), HARD)[1]).__name__ for seed in range(800))
    often = Counter(type(draw.question(random.Random(seed), OFTEN)[1]).__name__ for seed in range(800))
    assert hard["IsRelated"] > 1.5 * often["IsRelated"]
    assert hard["IsEither"] > 1.5 * often["IsEither"]
    asked = draw.hard_questions(3)
    assert [ALL_ANSWERS[row] for row in asked.answers.tolist()].count(UNKNOWN) == COUNTS.unknown
    assert len(asked.rows) == COUNTS.questions + COUNTS.unknown == len(asked.texts.ids)
    assert torch.equal(asked.rows, draw.hard_questions(3).rows)
    assert not torch.equal(asked.rows, draw.hard_questions(4).rows)


def test_a_name_that_is_nearly_the_same_is_no_negative(scenes: SceneIndex) -> None:
    likeness = torch.full((len(gallery()), len(gallery())), 0.9)
    batch = source(scenes, Ear(), likeness)(0).pairs
    assert batch.also_true[COUNTS.captions :, COUNTS.captions :].all()
    apart = source(scenes, Ear())(0).pairs
    assert not apart.also_true[COUNTS.captions :, COUNTS.captions :].all()


def test_a_title_may_be_true_of_scenes_that_show_what_it_names_and_of_no_others(scenes: SceneIndex) -> None:
    ear = Ear()
    draw = source(scenes, ear, counts=replace(COUNTS, captions=60, emoji=1, clip_art=2))
    shown: list[bool] = []
    for step in range(6):
        ear.texts.clear()
        batch = draw(step).pairs
        titles = ear.texts[61:63]
        for row, title in enumerate(titles, 61):
            kinds = [{thing.kind for thing in draw.scenes[at].things} for at in batch.rows[:60].tolist()]
            expected = [title == "A dog" and "dog" in of_scene for of_scene in kinds]
            assert batch.also_true[row, :60].tolist() == expected
            shown += expected
    assert any(shown)


def test_questions_are_said_in_all_languages(scenes: SceneIndex) -> None:
    ear = Ear()
    draw = source(scenes, ear)
    for step in range(10):
        draw(step)
    backgrounds = {grammar(code).say(TEMPLATES[-1]("dog")) for code in DEMO_LANGUAGES}
    assert len(backgrounds) == 8
    assert any(text.endswith("？") for text in ear.texts)
    assert any("кошк" in text or "собак" in text or "картин" in text for text in ear.texts)
