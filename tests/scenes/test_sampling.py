import hashlib
import math

from polyglance.scenes.sampling import DIAMETERS, FIRST_SEED, IMAGE_SIZE, cell_of, sample_scene, split_of, unseen_pairs
from polyglance.scenes.world import CATEGORIES, COLOURS, KINDS

TRAIN = [sample_scene(seed) for seed in range(3000)]
TEST = [sample_scene(FIRST_SEED["test"] + i) for i in range(3000)]


def test_the_world_is_as_rich_as_promised() -> None:
    assert len(KINDS) >= 64
    assert len(CATEGORIES) >= 7
    assert len(COLOURS) == 8
    assert {len(scene.things) for scene in TRAIN} == {2, 3, 4, 5, 6}
    assert {thing.kind for scene in TRAIN for thing in scene.things} == set(KINDS)


def test_the_same_seed_gives_the_same_scene_everywhere() -> None:
    digest = hashlib.sha256(repr([sample_scene(seed) for seed in range(50)]).encode()).hexdigest()
    assert digest[:16] == "08efa24a15fd5af5"


def test_things_stand_inside_apart_and_in_cells_of_their_own() -> None:
    for scene in TRAIN:
        assert len({cell_of(thing) for thing in scene.things}) == len(scene.things)
        for i, a in enumerate(scene.things):
            radius = DIAMETERS[a.size] / 2
            assert radius <= a.x <= IMAGE_SIZE - radius
            assert radius <= a.y <= IMAGE_SIZE - radius
            for b in scene.things[:i]:
                assert math.hypot(a.x - b.x, a.y - b.y) >= (DIAMETERS[a.size] + DIAMETERS[b.size]) / 2


def test_a_tenth_of_the_pairs_occurs_in_test_alone() -> None:
    assert len(unseen_pairs()) == len(KINDS) * len(COLOURS) // 10
    assert not unseen_pairs() & {thing.pair for scene in TRAIN for thing in scene.things}
    assert unseen_pairs() <= {thing.pair for scene in TEST for thing in scene.things}


def test_the_seed_tells_the_split() -> None:
    assert [split_of(seed) for seed in (0, 999_999, 1_000_000, 1_999_999, 2_000_000, 9_000_000)] == [
        "train", "train", "val", "val", "test", "test",
    ]  # fmt: skip
