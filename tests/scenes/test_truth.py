import random

import pytest

from polyglance.scenes import meaning as m
from polyglance.scenes.captions import sample_caption, sample_unique_caption
from polyglance.scenes.foils import sample_foil
from polyglance.scenes.sampling import Scene, Thing, sample_scene
from polyglance.scenes.truth import SceneIndex, anyone, between, caption_holds, everyone, holds, related

SCENES = [sample_scene(2_000_000 + i) for i in range(300)]


def at(x: int, y: int, kind: str = "dog", **facts: str | None) -> Thing:
    return Thing(kind, facts.get("size") or "small", facts.get("colour"), facts.get("plate"), x, y)


@pytest.mark.parametrize(
    ("a", "relation", "b", "truth"),
    [
        ((50, 100), "left", (150, 100), True),
        ((150, 100), "right", (50, 110), True),
        ((100, 50), "above", (110, 150), True),
        ((100, 150), "below", (110, 50), True),
        ((150, 100), "left", (50, 100), False),
        ((50, 50), "left", (150, 150), None),
        ((100, 100), "left", (120, 100), None),
        ((100, 50), "left", (105, 200), False),
    ],
)
def test_relations_are_true_false_or_arguable(
    a: tuple[int, int], relation: str, b: tuple[int, int], truth: bool | None
) -> None:
    assert related(at(*a), relation, at(*b)) is truth


def test_between_means_in_the_middle_and_on_the_line() -> None:
    left, right = at(40, 100), at(200, 100)
    assert between(at(120, 110), left, right) is True
    assert between(at(120, 150), left, right) is None
    assert between(at(120, 240), left, right) is False
    assert between(at(230, 100), left, right) is False


def test_three_valued_logic() -> None:
    assert anyone([False, None, True]) is True
    assert anyone([False, None]) is None
    assert anyone([False]) is False
    assert everyone([True, None, False]) is False
    assert everyone([True, None]) is None
    assert everyone([True]) is True


def test_phrases_count_and_background() -> None:
    scene = Scene(0, "sea", (at(50, 50, "star", colour="red", plate="blue"), at(200, 200), at(60, 200)))
    assert holds(scene, m.Shows(m.Phrase("star", "small", "red", "blue")))
    assert holds(scene, m.Shows(m.Phrase("shape", plate="blue")))
    assert not holds(scene, m.Shows(m.Phrase("star", colour="blue")))
    assert holds(scene, m.ShowsCount(2, "animal"))
    assert not holds(scene, m.ShowsCount(3, "animal"))
    assert holds(scene, m.ShowsBackground("sea"))
    assert not holds(scene, m.ShowsBackground("night"))


def test_sampled_captions_are_true_and_foils_false() -> None:
    rng = random.Random(0)
    for scene in SCENES:
        caption = sample_caption(scene, rng)
        assert caption_holds(scene, caption) is True
        assert 1 <= len(caption) <= 3
        foil = sample_foil(scene, caption, rng)
        assert foil is None or caption_holds(scene, foil) is False


def test_the_index_finds_what_holding_against_every_scene_finds() -> None:
    index, rng = SceneIndex(SCENES), random.Random(1)
    for scene in SCENES[:60]:
        caption = sample_caption(scene, rng)
        truths = [caption_holds(other, caption) for other in SCENES]
        expected = ([i for i, t in enumerate(truths) if t], [i for i, t in enumerate(truths) if t is None])
        assert index.find(caption) == expected


def test_a_near_miss_shows_much_of_a_caption_and_is_false() -> None:
    index, rng = SceneIndex(SCENES), random.Random(3)
    shared = []
    for scene in SCENES[:100]:
        caption = sample_caption(scene, rng, fragments=1)
        row = index.near_miss(caption, rng)
        assert row is not None
        assert caption_holds(SCENES[row], caption) is False
        if isinstance(caption[0], m.Shows):
            shared.append(holds(SCENES[row], m.Shows(m.Phrase(caption[0].thing.noun))))
    assert sum(map(bool, shared)) > 0.6 * len(shared)


def test_a_unique_caption_is_true_of_one_scene_and_false_of_all_others() -> None:
    index, rng = SceneIndex(SCENES), random.Random(2)
    found = [sample_unique_caption(index, row, rng) for row in range(60)]
    assert sum(caption is not None for caption in found) > 55
    for row, caption in enumerate(found):
        if caption:
            assert [i for i, scene in enumerate(SCENES) if caption_holds(scene, caption) is not False] == [row]
