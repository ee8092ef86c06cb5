"""Samples captions that are true of a scene."""

import random
from collections.abc import Callable
from itertools import permutations

from polyglance.scenes import meaning as m
from polyglance.scenes.sampling import Scene, Thing
from polyglance.scenes.truth import SceneIndex, between, fitting, related
from polyglance.scenes.world import RELATIONS


def sample_caption(scene: Scene, rng: random.Random, fragments: int | None = None) -> m.Caption:
    """Samples a caption of different fragments that are all clearly true of the scene.

    fragments: their number, if the scene has enough; 1 to 3 at random by default.
    """
    count = fragments or rng.choice((1, 1, 2, 2, 3))
    chosen: list[m.Fragment] = []
    for _ in range(8 * count):
        if len(chosen) == count:
            break
        fragment = rng.choices(_SAMPLERS, _WEIGHTS)[0](scene, rng)
        if fragment is not None and fragment not in chosen:
            chosen.append(fragment)
    return tuple(chosen) or (_shows(scene, rng),)


def sample_unique_caption(index: SceneIndex, row: int, rng: random.Random, tries: int = 80) -> m.Caption | None:
    """Samples a caption that is true of one scene of the index and clearly false of all others; None if none was found.

    row: the scene's row in the index. tries: the number of captions to try.
    """
    for attempt in range(tries):
        caption = sample_caption(index.scenes[row], rng, fragments=min(3, 1 + attempt // 10))
        if index.find(caption) == ([row], []):
            return caption
    return None


def describe(thing: Thing, rng: random.Random, category: float = 0.08) -> m.Phrase:
    """Samples a phrase that describes the thing by some of its attributes.

    category: the probability of naming the category instead of the kind.
    """
    return m.Phrase(
        noun=thing.category if rng.random() < category else thing.kind,
        size=thing.size if rng.random() < 0.4 else None,
        colour=thing.colour if rng.random() < 0.7 else None,
        plate=thing.plate if rng.random() < 0.6 else None,
    )


def _shows(scene: Scene, rng: random.Random) -> m.Shows:
    return m.Shows(describe(rng.choice(scene.things), rng))


def _shows_count(scene: Scene, rng: random.Random) -> m.ShowsCount | None:
    thing = rng.choice(scene.things)
    noun = rng.choice((thing.kind, thing.category))
    count = len(fitting(scene, m.Phrase(noun)))
    return m.ShowsCount(count, noun) if count > 1 else None


def _shows_related(scene: Scene, rng: random.Random) -> m.ShowsRelated | None:
    a, b = rng.sample(scene.things, 2)
    for relation in RELATIONS:
        if related(a, relation, b):
            return m.ShowsRelated(describe(a, rng), relation, describe(b, rng))
    return None


def _shows_between(scene: Scene, rng: random.Random) -> m.ShowsBetween | None:
    triples = [triple for triple in permutations(scene.things, 3) if between(*triple)]
    if not triples:
        return None
    thing, first, second = rng.choice(triples)
    return m.ShowsBetween(describe(thing, rng), describe(first, rng), describe(second, rng))


def _shows_background(scene: Scene, rng: random.Random) -> m.ShowsBackground:
    return m.ShowsBackground(scene.background)


_SAMPLERS: tuple[Callable[[Scene, random.Random], m.Fragment | None], ...] = (
    _shows, _shows_count, _shows_related, _shows_between, _shows_background,
)  # fmt: skip
_WEIGHTS = (8, 2, 8, 2, 2)
