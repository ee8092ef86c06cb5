import torch

from experiments.pretraining.grounding import FRAGMENTS, PARTS, GroundingHead, fragments_hold, spoken_of
from experiments.pretraining.picture_stage import CELLS
from polyglance.scenes import meaning as m
from polyglance.scenes.sampling import Scene, Thing

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
    assert cells((m.ShowsBackground("sea"), m.Shows(m.Phrase("animal")))) == [[0, 3], [1, 3]]
    assert cells((m.Shows(m.Phrase("dog", size="large")),)) == []
    assert cells(m.WhatIsOnPlate("red")) == [[0, 0]]
    assert cells(m.AreThereMore("animal", "fruit")) == [[0, 1], [1, 1]]
    assert cells(m.ChooseKind("bus", "cat")) == [[1, 2]]
    assert cells(m.WhatBackground()) == []


def test_what_a_question_asks_for_is_spoken_of_too() -> None:
    assert cells(m.WhatIsRelated("left", m.Phrase("cat"))) == [[0, 0], [1, 1]]
    assert cells(m.WhatIsRelated("right", m.Phrase("cat"))) == [[1, 1]]


def test_fragments_are_true_false_or_unknown() -> None:
    dog, cat = m.Phrase("dog"), m.Phrase("cat")
    captions = [(m.Shows(dog), m.ShowsRelated(cat, "left", dog)), (m.ShowsRelated(dog, "left", cat),), ()]
    assert fragments_hold([SCENE] * 3, captions).tolist() == [[1, 0, -1], [1, -1, -1], [-1, -1, -1]]


def test_the_head_learns_cells_and_fragments() -> None:
    torch.manual_seed(0)
    head = GroundingHead(16)
    halfway, results = torch.randn(3, 5 + CELLS, 16), torch.randn(3, 16)
    spoken = spoken_of([SCENE] * 3, [m.HowMany("dog"), m.WhatBackground(), (m.Shows(m.Phrase("cat")),)])
    hold = torch.tensor([[1.0, 0, -1], [-1, -1, -1], [0, 1, 1]])
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    losses = []
    for _ in range(150):
        terms = head.cell_loss(halfway, spoken), head.fragment_loss(results, hold)
        losses.append([term.item() for term in terms])
        sum(terms).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[0][0] > 0.5 * CELLS * PARTS * 0.69
    assert losses[-1][0] < 1
    assert losses[-1][1] < 0.1 < losses[0][1]
    assert head.fragments(results).shape == (3, FRAGMENTS)
