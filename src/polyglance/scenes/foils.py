"""Foils: captions that are false of a scene and differ from a true one in one detail (FOIL, arXiv:1705.01359)."""

import random
from dataclasses import replace

from polyglance.scenes import meaning as m
from polyglance.scenes.sampling import Scene
from polyglance.scenes.truth import caption_holds
from polyglance.scenes.world import BACKGROUNDS, CATEGORY_OF, COLOURS, KINDS, KINDS_BY_CATEGORY, RELATIONS, SHAPE, SIZES


def sample_foil(scene: Scene, caption: m.Caption, rng: random.Random, tries: int = 20) -> m.Caption | None:
    """Changes one detail of a caption so that it is clearly false of the scene; None if no try succeeded.

    tries: the number of changes to try.
    """
    for _ in range(tries):
        at = rng.randrange(len(caption))
        foil = (*caption[:at], _changed(caption[at], scene, rng), *caption[at + 1 :])
        if caption_holds(scene, foil) is False:
            return foil
    return None


def _changed(fragment: m.Fragment, scene: Scene, rng: random.Random) -> m.Fragment:
    match fragment:
        case m.Shows(thing):
            return m.Shows(_changed_phrase(thing, scene, rng))
        case m.ShowsCount(count, noun):
            if rng.random() < 0.7:
                return m.ShowsCount(rng.choice([n for n in range(2, 7) if abs(n - count) in (1, 2)]), noun)
            return m.ShowsCount(count, _changed_noun(noun, scene, rng))
        case m.ShowsRelated(thing, relation, other):
            draw = rng.random()
            if draw < 0.3:
                return m.ShowsRelated(thing, rng.choice([r for r in RELATIONS if r != relation]), other)
            if draw < 0.5:
                return m.ShowsRelated(other, relation, thing)
            if draw < 0.75:
                return m.ShowsRelated(_changed_phrase(thing, scene, rng), relation, other)
            return m.ShowsRelated(thing, relation, _changed_phrase(other, scene, rng))
        case m.ShowsBetween(thing, first, second):
            if rng.random() < 0.5:
                return m.ShowsBetween(first, thing, second)
            return m.ShowsBetween(_changed_phrase(thing, scene, rng), first, second)
        case m.ShowsBackground(background):
            return m.ShowsBackground(rng.choice([b for b in BACKGROUNDS if b != background]))


def _changed_phrase(phrase: m.Phrase, scene: Scene, rng: random.Random) -> m.Phrase:
    """Changes the noun, size, colour or plate, often to a value that occurs elsewhere in the scene."""
    attributes = [name for name in ("size", "colour", "plate") if getattr(phrase, name)]
    name = rng.choice(["noun", *attributes, *attributes])
    if name == "noun":
        noun = _changed_noun(phrase.noun, scene, rng)
        is_shape = SHAPE in (noun, CATEGORY_OF.get(noun))
        return replace(phrase, noun=noun, colour=phrase.colour if is_shape else None)
    if name == "size":
        return replace(phrase, size=SIZES[1 - SIZES.index(phrase.size or SIZES[0])])
    in_scene = [colour for thing in scene.things for colour in (thing.colour, thing.plate) if colour]
    colour = rng.choice(in_scene if rng.random() < 0.5 else COLOURS)
    return replace(phrase, colour=colour) if name == "colour" else replace(phrase, plate=colour)


def _changed_noun(noun: str, scene: Scene, rng: random.Random) -> str:
    if noun not in CATEGORY_OF:
        return rng.choice(list(KINDS_BY_CATEGORY))
    draw = rng.random()
    if draw < 0.4:
        return rng.choice([thing.kind for thing in scene.things])
    return rng.choice(KINDS if draw < 0.7 else list(KINDS_BY_CATEGORY[CATEGORY_OF[noun]]))
