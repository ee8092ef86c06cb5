"""Scenes: the things in one picture and their positions, sampled from a seed. A seed gives the same scene everywhere.

The range that a seed lies in decides the split of its picture. A tenth of all (kind, colour) pairs never occur in the
training range.
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
"""The picture is divided into GRID x GRID cells; no two things have their centres in the same cell."""
DIAMETERS: Final = {"small": 44, "large": 72}
"""Diameters of things in pixels, by size."""
FIRST_SEED: Final[dict[Split, int]] = {"train": 0, "val": 1_000_000, "test": 2_000_000}


@dataclass(frozen=True)
class Thing:
    """One thing of a scene.

    kind, size: from `scenes.world`. colour: its own colour, None unless it is a shape. plate: the colour of its plate;
    None for no plate. x, y: its centre in pixels from the top left.
    """

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
        """(kind, colour), with the plate's colour for a thing without its own; None if there is no colour."""
        colour = self.colour or self.plate
        return (self.kind, colour) if colour else None


@dataclass(frozen=True)
class Scene:
    """The content of one picture.

    seed: identifies the scene. background: one of `BACKGROUNDS`. things: in the order in which they were sampled.
    """

    seed: int
    background: str
    things: tuple[Thing, ...]

    @property
    def image(self) -> str:
        """The file name of the scene's picture."""
        return f"scene_{self.seed:07d}.png"


def split_of(seed: int) -> Split:
    """Returns the split that a seed belongs to."""
    if seed < FIRST_SEED["val"]:
        return "train"
    return "val" if seed < FIRST_SEED["test"] else "test"


@cache
def unseen_pairs() -> frozenset[tuple[str, str]]:
    """Returns the tenth of all (kind, colour) pairs that never occur in the training split."""
    pairs = [(kind, colour) for kind in KINDS for colour in COLOURS]
    return frozenset(random.Random("unseen pairs").sample(pairs, len(pairs) // 10))


def sample_scene(seed: int) -> Scene:
    """Samples the scene of a seed: up to 6 things, apart from each other, on one of the four backgrounds."""
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
    """Samples a thing without a position. Many repeat the kind or category of another one, so that counting matters."""
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
    """Returns the thing at a free position with little overlap, or None if 60 tries found none."""
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
    """Returns the grid cell of a thing's centre, numbered row by row from 0 to GRID * GRID - 1."""
    cell = IMAGE_SIZE // GRID
    return thing.y // cell * GRID + thing.x // cell


def _apart(a: Thing, b: Thing) -> bool:
    room = sum(DIAMETERS[t.size] * (0.6 if t.plate else 0.5) for t in (a, b))
    return math.hypot(a.x - b.x, a.y - b.y) >= room
