"""Scenes: what stands where in one picture, drawn at random from a seed. The same seed gives the same scene everywhere.

Seeds are split by range: a seed tells which split its picture belongs to. A tenth of all (kind, colour) pairs never
occur in the training range.
"""

import math
import random
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from polyglance.scenes.world import (
    BACKGROUNDS,
    CATEGORIES,
    CATEGORY_OF,
    COLOURS,
    KINDS,
    KINDS_BY_CATEGORY,
    SHAPE,
    SIZES,
)

Split = Literal["train", "val", "test"]

IMAGE_SIZE: Final = 256
"""Width and height of a picture in pixels."""
GRID: Final = 4
"""No two things have their centres in the same cell of a GRID x GRID grid."""
DIAMETERS: Final = {"small": 44, "large": 72}
"""Pixels across, by size."""
FIRST_SEED: Final[dict[Split, int]] = {"train": 0, "val": 1_000_000, "test": 2_000_000}


@dataclass(frozen=True)
class Thing:
    """One thing of a scene. x, y: its centre in pixels from the top left. colour: of shapes alone."""

    kind: str
    size: str
    colour: str | None
    plate: str | None
    x: int
    y: int

    @property
    def category(self) -> str:
        return CATEGORY_OF[self.kind]

    @property
    def pair(self) -> tuple[str, str] | None:
        """(kind, colour): a shape's own colour, any other thing's plate."""
        colour = self.colour or self.plate
        return (self.kind, colour) if colour else None


@dataclass(frozen=True)
class Scene:
    """What one picture shows; `seed` names it."""

    seed: int
    background: str
    things: tuple[Thing, ...]

    @property
    def image(self) -> str:
        """The file name of its picture."""
        return f"scene_{self.seed:07d}.png"


def split_of(seed: int) -> Split:
    """The split whose seed range holds this seed."""
    if seed < FIRST_SEED["val"]:
        return "train"
    return "val" if seed < FIRST_SEED["test"] else "test"


@cache
def unseen_pairs() -> frozenset[tuple[str, str]]:
    """The tenth of all (kind, colour) pairs that never occur in the training split."""
    pairs = [(kind, colour) for kind in KINDS for colour in COLOURS]
    return frozenset(random.Random("unseen pairs").sample(pairs, len(pairs) // 10))


def sample_scene(seed: int) -> Scene:
    """The scene of a seed: 2 to 6 things on free places of one of the four backgrounds."""
    rng = random.Random(f"scene {seed}")
    forbidden = unseen_pairs() if split_of(seed) == "train" else frozenset()
    background = rng.choice(BACKGROUNDS)
    things: list[Thing] = []
    for _ in range(rng.randint(2, 6)):
        thing = _place(_draw_thing(rng, things, forbidden), things, rng)
        if thing is not None:
            things.append(thing)
    return Scene(seed, background, tuple(things))


def _draw_thing(rng: random.Random, others: list[Thing], forbidden: frozenset[tuple[str, str]]) -> Thing:
    """A thing without a place. A quarter repeats the kind or the category of another one, so that counting matters."""
    while True:
        if others and rng.random() < 0.15:
            kind = rng.choice(others).kind
        elif others and rng.random() < 0.2:
            kind = rng.choice(list(KINDS_BY_CATEGORY[rng.choice(others).category]))
        else:
            kind = rng.choice(list(KINDS_BY_CATEGORY[rng.choice(CATEGORIES)]))
        colour = rng.choice(COLOURS) if CATEGORY_OF[kind] == SHAPE else None
        plate = rng.choice(COLOURS) if rng.random() < (0.2 if colour else 0.5) else None
        thing = Thing(kind, rng.choice(SIZES), colour, plate, 0, 0)
        if thing.pair not in forbidden and (plate is None or plate != colour):
            return thing


def _place(thing: Thing, others: list[Thing], rng: random.Random) -> Thing | None:
    """The thing at a free place with little overlap, or None where 60 tries found none (small picture, many things)."""
    cell, taken = IMAGE_SIZE // GRID, {cell_of(other) for other in others}
    margin = math.ceil(DIAMETERS[thing.size] * (0.66 if thing.plate else 0.52))
    for _ in range(60):
        x, y = (rng.randint(margin, IMAGE_SIZE - margin) for _ in range(2))
        placed = Thing(thing.kind, thing.size, thing.colour, thing.plate, x, y)
        inside = all(6 <= value % cell < cell - 6 for value in (x, y))
        if inside and cell_of(placed) not in taken and all(_apart(placed, other) for other in others):
            return placed
    return None


def cell_of(thing: Thing) -> int:
    """The grid cell of a thing's centre, row by row: 0 to GRID * GRID - 1."""
    cell = IMAGE_SIZE // GRID
    return thing.y // cell * GRID + thing.x // cell


def _apart(a: Thing, b: Thing) -> bool:
    room = sum(DIAMETERS[t.size] * (0.6 if t.plate else 0.5) for t in (a, b))
    return math.hypot(a.x - b.x, a.y - b.y) >= room
