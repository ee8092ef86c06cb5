"""Colours with 16 bits per channel: Pillow reads only the upper byte, so that 12 bits in 16 look nearly black."""

import sys
from collections.abc import Iterator
from typing import Final

import numpy as np
from jaxtyping import UInt16
from PIL import Image, ImageFile

from polyglance.data.pixels import bands, white_of

_LOWER_BYTE: Final = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
_DARK: Final = 16
"""The upper byte of 4,096; smaller upper bytes belong to smaller values."""


def packing_of(image: ImageFile.ImageFile) -> str | None:
    """Returns Pillow's name for 16-bit colours of a picture that is not loaded yet, such as RGB;16B; None for
    others."""
    arguments = image.tile[0].args if image.tile else None
    packing = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return packing if isinstance(packing, str) and packing[:-1] in ("RGB;16", "RGBA;16") else None


def is_dark(image: Image.Image) -> bool:
    """Whether all red, green and blue upper bytes belong to values below 4,096."""
    return all(int(np.max(channel.getextrema())) < _DARK for channel in image.split()[:3])


def load_lower_bytes(image: ImageFile.ImageFile, packing: str) -> None:
    """Loads the lower byte of each channel."""
    lower = packing[:-1] + _LOWER_BYTE[packing[-1]]
    image.tile = [
        tile._replace(args=(lower, *tile.args[1:]) if isinstance(tile.args, tuple) else lower) for tile in image.tile
    ]
    image.load()


def brightened(upper: Image.Image, lower: Image.Image) -> Image.Image:
    """Scales `upper` in place, with white at the largest number with as many bits as the brightest value (`to_rgb`)."""
    brightest = max(int(_values(*pair).max()) for pair in _pairs(upper, lower))
    top = 0
    for pair in _pairs(upper, lower):
        pixels = np.array(pair[0])
        pixels[..., :3] = np.rint(_values(*pair) * (255 / white_of(brightest)))
        upper.paste(Image.fromarray(pixels), (0, top))
        top += len(pixels)
    return upper


def _pairs(upper: Image.Image, lower: Image.Image) -> Iterator[tuple[Image.Image, Image.Image]]:
    return ((high, low) for (_, high), (_, low) in zip(bands(upper), bands(lower), strict=True))


def _values(upper: Image.Image, lower: Image.Image) -> UInt16[np.ndarray, "rows width 3"]:
    high, low = (np.asarray(band)[..., :3].astype(np.uint16) for band in (upper, lower))
    return high * np.uint16(256) + low
