"""Converts colours from a picture's ICC profile to sRGB."""

from functools import lru_cache
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageCms

MAX_PROFILE: Final = 4 * 2**20
"""The most bytes of a profile; a larger one is ignored. Printer profiles have up to 3 million."""
_LEAST_SIDE: Final = 1024
_UNSEEN: Final = 2
_MODES: Final = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def to_srgb(image: Image.Image, profile: object) -> Image.Image | None:
    """Converts a picture to sRGB; returns None if the profile is damaged, for other colours, or nearly sRGB.

    image: RGB or CMYK. A profile for grey is applied to RGB with equal channels.

    A picture with more than 2,048 pixels on its shorter side is first reduced by the largest integer that leaves at
    least 1,024: converting a pixel takes several times as long as decoding it from a JPEG.
    """
    if not isinstance(profile, bytes) or not 128 <= len(profile) <= MAX_PROFILE:
        return None
    found = _transform(profile, image.mode)
    if found is None:
        return None
    mode, transform = found
    reduced = image.reduce(max(1, min(image.size) // _LEAST_SIDE))
    if mode == "L":
        red, *others = reduced.split()
        if any(ImageChops.difference(red, other).getbbox() for other in others):
            return None
        reduced = red
    return ImageCms.applyTransform(reduced, transform)


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> tuple[str, ImageCms.ImageCmsTransform] | None:
    """Returns the input mode and the transform; None if there is none for the mode or the profile is already sRGB."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        wanted = _MODES.get(source.profile.xcolor_space.strip())
        if wanted is None or (wanted == "CMYK") != (mode == "CMYK"):
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), wanted, "RGB")
        if wanted == "CMYK":
            return wanted, transform
        probe = _probe() if wanted == "RGB" else Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        before = np.asarray(probe.convert("RGB"), np.int16)
        after = np.asarray(ImageCms.applyTransform(probe, transform), np.int16)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # what is wrong in a profile is no reason to refuse
        return None
    return None if np.abs(after - before).max() <= _UNSEEN else (wanted, transform)


def _probe() -> Image.Image:
    """Returns colours from all over the RGB cube; a profile's own name does not tell whether it is sRGB."""
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3))
