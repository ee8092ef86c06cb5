"""Converts decoded pixels of any kind to 8-bit RGB, one band of rows at a time to save memory."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from jaxtyping import Bool, Num, UInt8
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

_BAND_PIXELS: Final = 2**18
_NODATA_TAG: Final = 42113
_MAX_SAMPLE_TAGS: Final = (341, 281)
_DARK: Final = 4096
_NUMBERS: Final = ("I", "F")

Rows = Num[np.ndarray, "rows width"]


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts a picture to RGB with transparency over white; the result takes 4 bytes per pixel in Pillow.

    16-bit grey is divided by 256, unless the file gives another white (TIFF's MaxSampleValue) or all values are below
    4,096. The latter are taken for 12 bits or fewer in 16: white is the largest number with as many bits as the
    brightest value. 32-bit integers and floats have no standard white: their finite values are stretched from black to
    white, and infinite ones are clipped. A transparent value, GDAL's nodata value and NaN become white.
    """
    levels = _levels(image)
    if levels is None and image.mode == "RGB" and not image.has_transparency_data:
        return image.convert("RGB")
    rgb = Image.new("RGB", image.size)
    for top, band in bands(image):
        rgb.paste(_over_white(band) if levels is None else Image.fromarray(levels(np.asarray(band))), (0, top))
    return rgb


def bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yields (first row, rows) for each band, from top to bottom."""
    width, height = image.size
    step = max(1, _BAND_PIXELS // width)
    for top in range(0, height, step):
        yield top, image.crop((0, top, width, min(height, top + step)))


def _over_white(band: Image.Image) -> Image.Image:
    if not band.has_transparency_data:
        return band.convert("RGB")
    layered = (band.convert("LA") if band.mode == "La" else band).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")


def _levels(image: Image.Image) -> Callable[[Rows], UInt8[np.ndarray, "rows width"]] | None:
    """Returns a function that converts values to 8-bit grey; None for a picture with 8 bits."""
    if not (image.mode.startswith("I;16") or image.mode in _NUMBERS):
        return None
    absent = _absent(image)
    low, high = _range(image, absent) if image.mode in _NUMBERS else (0.0, _white(image, absent))

    def levels(values: Rows) -> UInt8[np.ndarray, "rows width"]:
        if image.mode not in _NUMBERS and high == 65535:
            grey = (values.astype(np.uint16) >> 8).astype(np.uint8)
        else:
            spread = np.clip(np.nan_to_num(values.astype(np.float64), nan=high, posinf=high, neginf=low), low, high)
            grey = np.rint((spread - low) * (255 / max(high - low, 1e-300))).astype(np.uint8)
        grey[_is_absent(values, absent)] = 255
        return grey

    return levels


def _range(image: Image.Image, absent: float | None) -> tuple[float, float]:
    """Returns the least and the greatest present value.

    Many programs write the largest 32-bit float, of either sign, for an absent value.
    """
    lows, highs = [], []
    for _, band in bands(image):
        values = np.asarray(band)
        counted = values[~_is_absent(values, absent)]
        if image.mode == "F":
            counted = counted[np.abs(counted) < np.finfo(np.float32).max]
        if counted.size:
            lows.append(float(counted.min()))
            highs.append(float(counted.max()))
    return (min(lows), max(highs)) if lows else (0.0, 1.0)


def _white(image: Image.Image, absent: float | None) -> float:
    brightest = 0
    for _, band in bands(image):
        values = np.asarray(band)
        brightest = max(brightest, int(values.max(where=~_is_absent(values, absent), initial=0)))
    named = next((value for tag in _MAX_SAMPLE_TAGS if (value := _number(image, tag))), None)
    if named is not None and brightest <= named <= 65535:
        return named
    return white_of(brightest)


def white_of(brightest: int) -> float:
    """Guesses white of 16-bit values from the brightest one: values below 4,096 are taken for fewer bits in 16."""
    return float(2 ** max(1, brightest.bit_length()) - 1) if brightest < _DARK else 65535.0


def _absent(image: Image.Image) -> float | None:
    transparent = image.info.get("transparency")
    return float(transparent) if isinstance(transparent, int) else _number(image, _NODATA_TAG)


def _number(image: Image.Image, tag: int) -> float | None:
    """Returns a TIFF tag as one number; None if it is missing, as in other formats."""
    if not isinstance(image, TiffImageFile):
        return None
    value = image.tag_v2.get(tag)
    try:
        return float(str(value[0] if isinstance(value, tuple) else value).strip("\0 "))
    except (ValueError, IndexError):
        return None


def _is_absent(values: Rows, absent: float | None) -> Bool[np.ndarray, "rows width"]:
    """Returns True for absent values. `absent` is compared in the file's precision, 32 bits for floats."""
    if values.dtype.kind != "f":
        equal: NDArray[np.bool_] = values == (np.nan if absent is None else absent)
        return equal
    with np.errstate(over="ignore"):
        same: NDArray[np.bool_] = np.isnan(values) | (values == np.float32(np.nan if absent is None else absent))
    return same
