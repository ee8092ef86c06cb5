"""Evaluates a meaning on a scene: True, False, or None if viewers could disagree.

A relation is True only if it is unmistakable and False only if nobody would claim it. Anything that depends on a None
is neither stated nor denied.
"""

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

from polyglance.scenes import meaning as m
from polyglance.scenes.sampling import Scene, Thing
from polyglance.scenes.world import OPPOSITE

Truth = bool | None


def fits(thing: Thing, phrase: m.Phrase) -> bool:
    """Whether the phrase describes the thing."""
    return (
        phrase.noun in (thing.kind, thing.category)
        and phrase.size in (None, thing.size)
        and phrase.colour in (None, thing.colour)
        and phrase.plate in (None, thing.plate)
    )


def fitting(scene: Scene, phrase: m.Phrase) -> list[Thing]:
    """Returns the things of the scene that the phrase describes."""
    return [thing for thing in scene.things if fits(thing, phrase)]


def related(a: Thing, relation: str, b: Thing) -> Truth:
    """Whether `a` is left of, right of, above or below `b`.

    True at a distance of 40 pixels or more, within 27 degrees of the axis; None up to 63 degrees; False beyond.
    """
    if relation in ("right", "below"):
        a, b, relation = b, a, OPPOSITE[relation]
    along, across = (b.x - a.x, b.y - a.y) if relation == "left" else (b.y - a.y, b.x - a.x)
    if along >= 40 and abs(across) <= 0.5 * along:
        return True
    return None if along > 0 and abs(across) <= 2 * along else False


def between(thing: Thing, first: Thing, second: Thing) -> Truth:
    """Whether `thing` lies between two others.

    True in the middle half of their connecting line and at most a fifth of its length off it; None nearby; else False.
    """
    ux, uy = second.x - first.x, second.y - first.y
    length = math.hypot(ux, uy)
    vx, vy = thing.x - first.x, thing.y - first.y
    along, off = (vx * ux + vy * uy) / length**2, abs(vx * uy - vy * ux) / length**2
    if 0.25 <= along <= 0.75 and off <= 0.2:
        return True
    return None if 0.05 <= along <= 0.95 and off <= 0.5 else False


def anyone(truths: Iterable[Truth]) -> Truth:
    """Three-valued `or`."""
    doubt = False
    for truth in truths:
        if truth:
            return True
        doubt = doubt or truth is None
    return None if doubt else False


def everyone(truths: Iterable[Truth]) -> Truth:
    """Three-valued `and`."""
    doubt = False
    for truth in truths:
        if truth is False:
            return False
        doubt = doubt or truth is None
    return None if doubt else True


def holds(scene: Scene, fragment: m.Fragment) -> Truth:
    """Whether one fragment of a caption is true of the scene."""
    match fragment:
        case m.Shows(thing):
            return bool(fitting(scene, thing))
        case m.ShowsCount(count, noun):
            return len(fitting(scene, m.Phrase(noun))) == count
        case m.ShowsRelated(thing, relation, other):
            pairs = ((a, b) for a in fitting(scene, thing) for b in fitting(scene, other) if a is not b)
            return anyone(related(a, relation, b) for a, b in pairs)
        case m.ShowsBetween(thing, first, second):
            return anyone(
                between(a, b, c)
                for a in fitting(scene, thing)
                for b in fitting(scene, first)
                for c in fitting(scene, second)
                if a is not b and a is not c and b is not c
            )
        case m.ShowsBackground(background):
            return scene.background == background


def caption_holds(scene: Scene, caption: m.Caption) -> Truth:
    """Whether every fragment is true of the scene."""
    return everyone(holds(scene, fragment) for fragment in caption)


class SceneIndex:
    """An inverted index that finds the scenes a caption is true of without evaluating it on every scene."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self.scenes = scenes
        postings: defaultdict[str, set[int]] = defaultdict(set)
        for row, scene in enumerate(scenes):
            postings[scene.background].add(row)
            for thing in scene.things:
                postings[thing.kind].add(row)
                postings[thing.category].add(row)
        self._postings = dict(postings)
        self._everywhere = set(range(len(scenes)))

    def find(self, caption: m.Caption) -> tuple[list[int], list[int]]:
        """Returns the rows that the caption is true of and the rows where viewers could disagree, both ascending."""
        words = {word for fragment in caption for word in _words(fragment)}
        sets = sorted((self._postings.get(word, set()) for word in words), key=len)
        rows = sorted(set.intersection(*sets))
        truths = [(row, caption_holds(self.scenes[row], caption)) for row in rows]
        return [row for row, truth in truths if truth], [row for row, truth in truths if truth is None]

    def near_miss(self, caption: m.Caption, rng: random.Random) -> int | None:
        """Returns a row that the caption is clearly false of, preferably one with most of what it names.

        Returns None if none was found.
        """
        words = [word for fragment in caption for word in _words(fragment)]
        rng.shuffle(words)
        near: set[int] = set()
        for word in words:
            both = self._postings.get(word, set()) & (near or self._everywhere)
            if len(both) < 8:
                break
            near = both
        for row in rng.sample(sorted(near), min(8, len(near))) + rng.choices(range(len(self.scenes)), k=8):
            if caption_holds(self.scenes[row], caption) is False:
                return row
        return None


def _words(fragment: m.Fragment) -> tuple[str, ...]:
    match fragment:
        case m.Shows(thing):
            return (thing.noun,)
        case m.ShowsCount(_, noun):
            return (noun,)
        case m.ShowsRelated(thing, _, other):
            return (thing.noun, other.noun)
        case m.ShowsBetween(thing, first, second):
            return (thing.noun, first.noun, second.noun)
        case m.ShowsBackground(background):
            return (background,)
