"""Draws scenes as pictures of 256 x 256 pixels, bit-identical for the same seed."""

import math
import random
from functools import cache
from pathlib import Path
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from polyglance.scenes.sampling import DIAMETERS, IMAGE_SIZE, Scene
from polyglance.scenes.world import EMOJI_OF

RGB: Final = {
    "red": (222, 45, 50), "orange": (245, 140, 30), "yellow": (250, 215, 50), "green": (35, 140, 65),
    "blue": (45, 90, 215), "purple": (145, 65, 180), "white": (248, 248, 248), "black": (35, 35, 40),
}  # fmt: skip
VARIANTS: Final = 6
"""The number of drawings of each background."""
FINE: Final = 4
"""Shapes and plates are drawn this many times larger and scaled down, for smooth edges."""

Colour = tuple[int, int, int]


def render(scene: Scene, emoji_folder: Path) -> Image.Image:
    """Draws a scene in RGB. emoji_folder: the folder with the PNG files of the emoji (`data.gallery_folder()`)."""
    picture = _background(scene.background, scene.seed % VARIANTS).copy()
    if scene.seed // VARIANTS % 2:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for thing in sorted(scene.things, key=lambda thing: thing.y):
        sprite = _sprite(thing.kind, thing.size, thing.colour, thing.plate, emoji_folder)
        picture.paste(sprite, (thing.x - sprite.width // 2, thing.y - sprite.height // 2), sprite)
    return picture


@cache
def _sprite(kind: str, size: str, colour: str | None, plate: str | None, emoji_folder: Path) -> Image.Image:
    """Draws a thing with its shadow and plate, centred on a transparent square twice its size."""
    diameter = DIAMETERS[size]
    thing = (
        _emoji(emoji_folder / f"{EMOJI_OF[kind]}.png", diameter) if kind in EMOJI_OF else _shape(kind, colour, diameter)
    )
    canvas = Image.new("RGBA", (2 * diameter, 2 * diameter))
    if plate:
        canvas.alpha_composite(_plate(plate, diameter))
    corner = (diameter // 2, diameter // 2)
    shadow = Image.new("RGBA", canvas.size)
    shadow.paste(
        (0, 0, 0, 255), (corner[0] + 1, corner[1] + 3), thing.getchannel("A").point(lambda alpha: alpha * 2 // 5)
    )
    canvas.alpha_composite(shadow.filter(ImageFilter.GaussianBlur(2)))
    canvas.alpha_composite(thing, corner)
    return canvas


def _emoji(path: Path, diameter: int) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGBA").resize((diameter, diameter), Image.Resampling.LANCZOS)


def _plate(colour: str, diameter: int) -> Image.Image:
    """Draws a plate under the lower part of the thing, seen slightly from above."""
    side = 2 * diameter * FINE
    image = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(image)
    middle, across, high, down = side // 2, 0.64 * diameter * FINE, 0.3 * diameter * FINE, 0.3 * diameter * FINE

    def ellipse(scale: float, drop: float, fill: Colour | tuple[int, int, int, int]) -> None:
        y = middle + down + drop * FINE
        draw.ellipse((middle - across * scale, y - high * scale, middle + across * scale, y + high * scale), fill)

    ellipse(1.0, 4, (0, 0, 0, 90))
    ellipse(1.0, 2, _shade(colour, 0.6))
    ellipse(1.0, 0, _shade(colour, 1.25))
    ellipse(0.93, 0, RGB[colour])
    ellipse(0.68, 1, _shade(colour, 0.88))
    return image.resize((2 * diameter, 2 * diameter), Image.Resampling.LANCZOS)


def _shade(colour: str, factor: float) -> Colour:
    """Returns the colour darkened (factor below 1) or lightened (factor above 1)."""
    r, g, b = (round(v * factor) if factor <= 1 else round(v + (255 - v) * (factor - 1)) for v in RGB[colour])
    return r, g, b


def _shape(kind: str, colour: str | None, diameter: int) -> Image.Image:
    """Draws a shape with a dark outline, or a light one if it is black."""
    if colour is None:
        raise ValueError(f"expected a colour for a {kind}, got None")
    side = diameter * FINE
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    if kind == "circle":
        draw.ellipse(_box(side, 0.05), 255)
    elif kind == "crescent":
        draw.ellipse(_box(side, 0.05), 255)
        bite = Image.new("L", (side, side))
        ImageDraw.Draw(bite).ellipse((side * 0.34, side * 0.0, side * 1.12, side * 0.78), 255)
        mask = ImageChops.subtract(mask, bite)
    else:
        draw.polygon([(side * x, side * y) for x, y in _outline(kind)], 255)
    inner = mask.filter(ImageFilter.MinFilter(2 * (side // 40) + 1))
    edge = _shade(colour, 0.55) if colour != "black" else (130, 130, 140)
    image = Image.new("RGBA", (side, side), (*edge, 0))
    image.paste((*edge, 255), (0, 0), mask)
    image.paste((*RGB[colour], 255), (0, 0), inner)
    return image.resize((diameter, diameter), Image.Resampling.LANCZOS)


def _box(side: int, inset: float) -> tuple[float, float, float, float]:
    return side * inset, side * inset, side * (1 - inset), side * (1 - inset)


def _outline(kind: str) -> list[tuple[float, float]]:
    """Returns the corners of a shape in the unit square."""
    if kind == "square":
        return [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)]
    if kind == "triangle":
        return [(0.5, 0.06), (0.96, 0.9), (0.04, 0.9)]
    if kind == "diamond":
        return [(0.5, 0.02), (0.86, 0.5), (0.5, 0.98), (0.14, 0.5)]
    if kind == "cross":
        a, b, c, d = 0.06, 0.35, 0.65, 0.94
        return [(b, a), (c, a), (c, b), (d, b), (d, c), (c, c), (c, d), (b, d), (b, c), (a, c), (a, b), (b, b)]
    if kind == "star":
        points = ((0.49 if i % 2 == 0 else 0.21, math.pi * i / 5) for i in range(10))
        return [(0.5 + r * math.sin(t), 0.53 - r * math.cos(t)) for r, t in points]
    if kind == "heart":
        turns = (2 * math.pi * i / 80 for i in range(80))
        return [(0.5 + 0.46 * math.sin(t) ** 3, 0.47 - 0.029 * _heart_height(t)) for t in turns]
    raise ValueError(f"no such shape: {kind!r}")


def _heart_height(t: float) -> float:
    return 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)


# -- backgrounds -------------------------------------------------------------------------------------------------------


@cache
def _background(name: str, variant: int) -> Image.Image:
    rng = random.Random(f"background {name} {variant}")
    top, bottom = _GRADIENTS[name]
    side = IMAGE_SIZE * 2
    column = Image.new("RGB", (1, side))
    for y in range(side):
        mix = y / side
        column.putpixel((0, y), tuple(round(a + (b - a) * mix) for a, b in zip(top, bottom, strict=True)))
    image = column.resize((side, side))
    _DETAILS[name](ImageDraw.Draw(image), rng, side)
    return image.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.LANCZOS)


def _grass_and_flowers(draw: ImageDraw.ImageDraw, rng: random.Random, side: int) -> None:
    for _ in range(240):
        x, y, lean = rng.randrange(side), rng.randrange(side), rng.randint(-5, 5)
        draw.line((x, y, x + lean, y - rng.randint(8, 16)), (92, 158, 70), 2)
    for _ in range(26):
        x, y = rng.randrange(side), rng.randrange(side)
        petal = rng.choice(((250, 240, 240), (250, 215, 225), (255, 240, 170)))
        for dx, dy in ((-4, 0), (4, 0), (0, -4), (0, 4)):
            draw.ellipse((x + dx - 3, y + dy - 3, x + dx + 3, y + dy + 3), petal)
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), (240, 190, 60))


def _waves(draw: ImageDraw.ImageDraw, rng: random.Random, side: int) -> None:
    for y in range(14, side, 34):
        for _ in range(6):
            x, length = rng.randrange(-20, side), rng.randint(30, 70)
            top = y + rng.randint(-8, 8)
            draw.arc((x, top, x + length, top + 16), 200, 340, (190, 228, 240), 3)


def _stars(draw: ImageDraw.ImageDraw, rng: random.Random, side: int) -> None:
    for _ in range(130):
        x, y, r = rng.randrange(side), rng.randrange(side), rng.choice((1, 1, 1, 2, 2, 3))
        draw.ellipse((x - r, y - r, x + r, y + r), rng.choice(((255, 250, 220), (200, 210, 250))))


def _dunes(draw: ImageDraw.ImageDraw, rng: random.Random, side: int) -> None:
    for y in range(40, side, 56):
        phase, high = rng.random() * 6.3, rng.randint(8, 18)
        crest = [(x, y + high * math.sin(phase + x / 90)) for x in range(0, side + 8, 8)]
        draw.line(crest, (214, 176, 116), 4, joint="curve")
        draw.line([(x, v + 5) for x, v in crest], (250, 226, 178), 4, joint="curve")


_GRADIENTS: Final[dict[str, tuple[Colour, Colour]]] = {
    "meadow": ((170, 214, 120), (112, 178, 84)),
    "sea": ((110, 190, 222), (58, 142, 196)),
    "night": ((22, 26, 62), (52, 50, 104)),
    "desert": ((246, 220, 168), (230, 192, 130)),
}
_DETAILS: Final = {"meadow": _grass_and_flowers, "sea": _waves, "night": _stars, "desert": _dunes}
