import torch

from polyglance.scenes import meaning as m
from polyglance.scenes.sampling import Scene, Thing
from polyglance.training.grounding import grounding_loss, spoken_of

SCENE = Scene(
    0,
    "sea",
    (Thing("dog", "small", None, "red", 30, 30), Thing("cat", "large", None, None, 100, 30)),
)


def cells(meaning: m.Caption | m.Question) -> list[list[int]]:
    """[cell, part] of everything that is spoken of."""
    return spoken_of([SCENE], [meaning])[0].nonzero().tolist()


def test_each_part_is_found_where_it_stands() -> None:
    dog, cat = m.Phrase("dog"), m.Phrase("cat")
    assert cells((m.ShowsRelated(dog, "left", cat),)) == [[0, 0], [1, 1]]
    assert cells((m.Shows(m.Phrase("animal")), m.ShowsBackground("sea"))) == [[0, 0], [1, 0]]
    assert cells((m.Shows(m.Phrase("dog", size="large")),)) == []
    assert cells(m.WhatIsOnPlate("red")) == [[0, 0]]
    assert cells(m.AreThereMore("animal", "fruit")) == [[0, 1], [1, 1]]
    assert cells(m.ChooseKind("bus", "cat")) == [[1, 2]]
    assert cells(m.WhatBackground()) == []


def test_the_loss_is_low_where_the_right_cells_are_told() -> None:
    targets = spoken_of([SCENE], [m.HowMany("dog")])
    assert grounding_loss(20 * (2 * targets - 1), targets) < 1e-3
    assert grounding_loss(torch.zeros_like(targets), targets) > 30
