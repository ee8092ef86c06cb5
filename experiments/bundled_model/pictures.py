"""The training pictures beside drawn scenes: emoji of six artists, clip art, flags and photographs, each in several
variants.

Variants and what the classifier sees in them are made once and mapped from files.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor

from experiments.pictures.flags import read_flags
from experiments.pictures.folders import TRAINING_ARTISTS, pictures_folder
from experiments.pretraining.drawn_pictures import draw_once
from polyglance import atomic
from polyglance.data.captions import of_split, read_captions
from polyglance.data.gallery import gallery
from polyglance.data.samples import samples_folder
from polyglance.nn.class_mixture import ClassifierEyes
from polyglance.scenes.sampling import IMAGE_SIZE
from polyglance.types import Progress

VARIANTS: Final = {"noto": 6, "artists": 3, "openclipart": 6, "photographs": 80, "flags": 8}
"""The number of variants of each picture, by where it comes from."""
_AT_ONCE: Final = 4
"""The number of pictures that the classifier reads at once on a CPU."""


@dataclass(frozen=True)
class Variant:
    """A picture as it is to be varied.

    path: of its file. origin: a key of `VARIANTS`. of: the row of the emoji in the gallery, of the caption among the
    training captions of clip art, or of the flag; -1 for a photograph. seed: of the variation; 0 leaves a
    drawing as it is.
    """

    path: Path
    origin: str
    of: int
    seed: int


def all_variants(few: int | None = None) -> list[Variant]:
    """Returns the variants of all training pictures. few: at most so many pictures of each artist or origin, and
    variants of each."""
    emoji = list(enumerate(gallery()))[:few]
    pictures = [(entry.path, "noto", row) for row, entry in emoji]
    for artist in TRAINING_ARTISTS:
        folder = pictures_folder(artist)
        drawn = ((folder / f"{entry.id}.png", "artists", row) for row, entry in emoji)
        pictures += [one for one in drawn if one[0].exists()]
    titled = of_split(read_captions(pictures_folder("openclipart") / "captions.jsonl"), "train")[:few]
    pictures += [(Path(caption.image), "openclipart", row) for row, caption in enumerate(titled)]
    pictures += [(path, "photographs", -1) for path in _photographs()[:few]]
    pictures += [(flag.path, "flags", row) for row, flag in enumerate(read_flags(pictures_folder("flags"))[:few])]
    return [Variant(*picture, seed) for picture in pictures for seed in range(VARIANTS[picture[1]])[:few]]


def _photographs() -> list[Path]:
    """Returns the photographs that the demo does not show."""
    shown = (samples_folder() / "credits.jsonl").read_text(encoding="utf-8")
    return sorted(path for path in pictures_folder("photographs").glob("*.jpg") if path.name not in shown)


def varied(variant: Variant) -> UInt8[np.ndarray, "3 height width"]:
    """Returns the pixels of a variant: another size and place, ground, colours and edges, or a cut of a photograph."""
    rng = random.Random(f"{variant.path.name} {variant.seed}")
    with Image.open(variant.path) as file:
        picture = file.convert("RGBA")
    if variant.origin == "photographs":
        return _pixels(_cut(picture, rng).convert("RGB"))
    scale = rng.uniform(0.45, 1.0) if variant.seed else 1.0
    ground = _ground(rng) if variant.seed and rng.random() < 0.4 else Image.new("RGBA", (IMAGE_SIZE,) * 2, "white")
    if variant.seed and rng.random() < 0.4:
        picture = picture.rotate(rng.uniform(-15, 15), Image.Resampling.BICUBIC, expand=True)
    side = round(IMAGE_SIZE * scale)
    picture = ImageOps.contain(picture, (side, side), Image.Resampling.BICUBIC)
    room = IMAGE_SIZE - picture.width, IMAGE_SIZE - picture.height
    at = tuple(rng.randint(0, free) if variant.seed else free // 2 for free in room)
    ground.alpha_composite(picture, (at[0], at[1]))
    drawn = ground.convert("RGB")
    return _pixels(_restyled(drawn, rng) if variant.seed else drawn)


def _pixels(picture: Image.Image) -> UInt8[np.ndarray, "3 height width"]:
    return np.asarray(picture).transpose(2, 0, 1).copy()


def _cut(picture: Image.Image, rng: random.Random) -> Image.Image:
    side = round(min(picture.size) * rng.uniform(0.25, 1.0))
    left, top = rng.randint(0, picture.width - side), rng.randint(0, picture.height - side)
    cut = picture.crop((left, top, left + side, top + side)).resize((IMAGE_SIZE,) * 2, Image.Resampling.BICUBIC)
    return ImageOps.mirror(cut) if rng.random() < 0.5 else cut


def _ground(rng: random.Random) -> Image.Image:
    """One colour, or one fading into another."""
    colours = [tuple(rng.randint(60, 255) for _ in range(3)) for _ in range(2)]
    if rng.random() < 0.5:
        return Image.new("RGBA", (IMAGE_SIZE,) * 2, colours[0])
    fade = Image.linear_gradient("L").resize((IMAGE_SIZE,) * 2).rotate(90 * rng.randrange(4))
    one, other = (Image.new("RGBA", (IMAGE_SIZE,) * 2, colour) for colour in colours)
    return Image.composite(one, other, fade)


def _restyled(picture: Image.Image, rng: random.Random) -> Image.Image:
    if rng.random() < 0.3:
        hue, saturation, value = picture.convert("HSV").split()
        shift = rng.randint(-12, 12)
        picture = Image.merge("HSV", (hue.point(lambda old: (old + shift) % 256), saturation, value)).convert("RGB")
    for enhance in (ImageEnhance.Color, ImageEnhance.Brightness, ImageEnhance.Contrast):
        if rng.random() < 0.4:
            picture = enhance(picture).enhance(rng.uniform(0.65, 1.35))
    draw = rng.random()
    if draw < 0.08:
        picture = ImageOps.grayscale(picture).convert("RGB")
    elif draw < 0.16:
        picture = ImageOps.posterize(picture, rng.randint(2, 4))
    elif draw < 0.24:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.0)))
    elif draw < 0.30:
        edges = ImageOps.grayscale(picture).filter(ImageFilter.FIND_EDGES)
        picture = ImageOps.invert(ImageOps.autocontrast(edges)).convert("RGB")
    return picture


def drawn_variants(
    variants: Sequence[Variant], path: Path, progress: Progress | None = None
) -> UInt8[Tensor, "n 3 h w"]:
    """Maps the variants' pixels from a file, as `draw_once` does."""
    return draw_once(variants, _drawn, path, progress)


def _drawn(chunk: Sequence[Variant]) -> UInt8[np.ndarray, "n 3 h w"]:
    return np.stack([varied(variant) for variant in chunk])


@dataclass(frozen=True)
class Seen:
    """What the classifier sees in pictures: its feature maps as tokens, and the vectors of whole pictures."""

    grid: Float[Tensor, "pictures cells channels"]
    whole: Float[Tensor, "pictures width"]

    def to(self, device: torch.device) -> "Seen":
        return Seen(self.grid.to(device), self.whole.to(device))


def seen_in(
    pixels: UInt8[Tensor, "n 3 h w"],
    eyes: ClassifierEyes,
    path: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Seen:
    """Maps what the classifier sees from files beside `path`, in float16, and reads the pictures first if they are
    missing."""
    device = eyes.class_vectors.device
    at_once = _AT_ONCE if device.type == "cpu" else 64 * _AT_ONCE
    grids, wholes = path.with_suffix(".grid.npy"), path.with_suffix(".whole.npy")
    if not wholes.exists():
        grid, whole = [], []
        with torch.inference_mode():
            for start in range(0, len(pixels), at_once):
                tokens, vectors = eyes(pixels[start : start + at_once].to(device))
                grid.append(tokens.half().cpu().numpy())
                whole.append(vectors.half().cpu().numpy())
                if progress:
                    progress(min(start + at_once, len(pixels)), len(pixels))
        for target, values in ((grids, grid), (wholes, whole)):
            with atomic.whole(target) as draft, draft.open("wb") as file:
                np.save(file, np.concatenate(values))
    mapped = np.load(grids, mmap_mode="r+", allow_pickle=False)
    return Seen(torch.from_numpy(mapped), torch.from_numpy(np.load(wholes, allow_pickle=False)))
