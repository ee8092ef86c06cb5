"""What the phrases of a question refer to."""

import torch

from experiments.bundled_model.referents import ReferentHead, referents_of
from polyglance.scenes import meaning as m
from polyglance.scenes.sampling import Scene, Thing
from polyglance.scenes.world import COLOURS, SIZES

STAR = Thing("star", "small", "red", "blue", 40, 40)
DOG = Thing("dog", "large", None, None, 200, 40)
CAT = Thing("cat", "large", None, "green", 200, 200)
SCENE = Scene(0, "meadow", (STAR, DOG, CAT))


def facts(thing: Thing) -> list[int]:
    column, row = thing.x // 64, thing.y // 64
    none = len(COLOURS)
    colours = (COLOURS.index(one) if one else none for one in (thing.colour, thing.plate))
    return [4 * row + column, SIZES.index(thing.size), *colours]


def test_each_role_has_the_facts_of_the_only_thing_that_plays_it() -> None:
    star, dog, cat = m.Phrase("star"), m.Phrase("dog"), m.Phrase("cat")
    questions = (
        m.IsRelated(star, "left", dog),
        m.AreSameSize(dog, cat),
        m.IsBetween(dog, star, cat),
        m.WhatIsRelated("left", dog),
        m.HowMany("dog"),
        m.IsThere(m.Phrase("animal")),
    )
    unsaid = [-100] * 4
    assert referents_of([SCENE] * len(questions), questions).tolist() == [
        [facts(STAR), facts(DOG), unsaid],
        [unsaid, facts(DOG), facts(CAT)],
        [facts(DOG), facts(STAR), facts(CAT)],
        [facts(STAR), facts(DOG), unsaid],
        [unsaid] * 3,
        [unsaid] * 3,
    ]


def test_the_head_learns_the_facts_and_ignores_what_is_unsaid() -> None:
    torch.manual_seed(0)
    targets = referents_of([SCENE, SCENE], [m.IsRelated(m.Phrase("star"), "left", m.Phrase("dog")), m.HowMany("dog")])
    results = torch.randn(2, 8)
    head = ReferentHead(8)
    before = head.loss(results, targets)
    torch.testing.assert_close(head.loss(torch.stack([results[0], torch.randn(8)]), targets), before)
    optimizer = torch.optim.Adam(head.parameters(), 0.1)
    for _ in range(60):
        optimizer.zero_grad()
        head.loss(results, targets).backward()
        optimizer.step()
    assert head.loss(results, targets) < 0.1 * before
