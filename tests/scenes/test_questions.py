import random
from collections import Counter, defaultdict

import pytest

from polyglance.scenes import meaning as m
from polyglance.scenes.questions import (
    ANSWERS,
    STRUCTURAL_TYPES,
    TEMPLATES,
    answer,
    sample_question,
    sample_question_like,
)
from polyglance.scenes.sampling import Scene, Thing, sample_scene

SCENE = Scene(
    0,
    "meadow",
    (
        Thing("dog", "small", None, "red", 50, 60),
        Thing("cat", "large", None, None, 190, 60),
        Thing("star", "large", "blue", "green", 60, 200),
        Thing("circle", "small", "blue", None, 200, 200),
    ),
)
DOG, CAT, STAR, CIRCLE = map(m.Phrase, ("dog", "cat", "star", "circle"))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (m.IsThere(m.Phrase("dog", plate="red")), "yes"),
        (m.IsThere(m.Phrase("dog", size="large")), "no"),
        (m.IsThereCategory(m.Phrase("fruit")), "no"),
        (m.IsColour(STAR, "blue"), "yes"),
        (m.IsPlateColour(DOG, "green"), "no"),
        (m.IsPlateColour(CAT, "green"), None),
        (m.IsSize(CAT, "large"), "yes"),
        (m.IsRelated(DOG, "left", CAT), "yes"),
        (m.IsRelated(DOG, "left", CIRCLE), None),
        (m.IsRelated(DOG, "below", STAR), "no"),
        (m.IsBetween(DOG, CAT, STAR), "no"),
        (m.IsBackground("sea"), "no"),
        (m.WhatColour(CIRCLE), "blue"),
        (m.WhatPlateColour(STAR), "green"),
        (m.WhatIsRelated("right", DOG), None),
        (m.WhatIsRelated("above", STAR), None),
        (m.WhatIsOnPlate("red"), "dog"),
        (m.WhichOfCategory("animal"), None),
        (m.WhatCategoryOnPlate("green"), "shape"),
        (m.WhatBackground(), "meadow"),
        (m.ChooseColour(STAR, "red", "blue"), "blue"),
        (m.ChoosePlateColour(DOG, "red", "blue"), "red"),
        (m.ChooseSize(DOG), "small"),
        (m.ChooseRelation(CAT, DOG, vertical=False), "right"),
        (m.ChooseRelation(CAT, DOG, vertical=True), None),
        (m.ChooseKind("dog", "bus"), "dog"),
        (m.ChooseKind("dog", "cat"), None),
        (m.ChooseCategoryOnPlate("red", "fruit", "animal"), "animal"),
        (m.ChooseBackground("meadow", "sea"), "meadow"),
        (m.AreBoth(DOG, m.Phrase("bus")), "no"),
        (m.IsEither(DOG, m.Phrase("bus")), "yes"),
        (m.IsWithout(DOG, m.Phrase("bus")), "yes"),
        (m.AreBothSize(DOG, CIRCLE, "small"), "yes"),
        (m.AreSameColour(STAR, CIRCLE), "yes"),
        (m.ArePlatesSameColour(DOG, STAR), "no"),
        (m.AreSameSize(DOG, CAT), "no"),
        (m.WhichIsLarger(DOG, CAT), "cat"),
        (m.WhichIsLarger(STAR, CAT), None),
        (m.AreThereMore("animal", "shape"), "no"),
        (m.HowMany("animal"), "2"),
    ],
)
def test_answers_of_a_scene_made_by_hand(question: m.Question, expected: str | None) -> None:
    assert answer(SCENE, question) == expected


def test_what_stands_alone_beside_something_is_found() -> None:
    scene = Scene(0, "sea", SCENE.things[:2])
    assert answer(scene, m.WhatIsRelated("right", DOG)) == "cat"
    assert answer(scene, m.WhichOfCategory("animal")) is None


def test_a_question_of_a_template_is_one_and_its_answer_is_right() -> None:
    rng = random.Random(0)
    scenes = [sample_scene(seed) for seed in range(60)]
    asked: Counter[type[m.Question]] = Counter()
    for template in TEMPLATES:
        for scene in scenes:
            if found := sample_question_like(scene, template, rng):
                assert type(found[0]) is template
                assert answer(scene, found[0]) == found[1]
                asked[template] += 1
    drawn = {type(sample_question(scene, rng)[0]) for scene in scenes for _ in range(40)}
    assert drawn <= set(TEMPLATES)
    assert set(TEMPLATES) - asked.keys() <= {m.AreSameColour}, "which needs two shapes, in one scene of 150"


def test_sampled_questions_are_balanced() -> None:
    rng = random.Random(0)
    asked = [sample_question(sample_scene(i), rng) for i in range(6000)]
    answers: defaultdict[type[m.Question], Counter[str]] = defaultdict(Counter)
    for question, given in asked:
        assert given in ANSWERS
        answers[type(question)][given] += 1
    assert {template.structural for template in answers} == set(STRUCTURAL_TYPES)
    assert {template.semantic for template in answers} == {"obj", "attr", "cat", "rel", "global"}
    assert set(answers) == set(m.Question.__subclasses__())
    guessed = sum(max(counts.values()) for counts in answers.values()) / len(asked)
    assert guessed < 0.42
    yes, no = (sum(counts[word] for counts in answers.values()) for word in ("yes", "no"))
    assert 0.85 < yes / no < 1.18
