"""Emoji drawn as squares of 256 x 256 pixels on a transparent background."""

import io
from typing import Final

import resvg_py
from PIL import Image, ImageOps

SIDE: Final = 256


def draw_svg(content: bytes) -> bytes:
    """Returns a PNG of an SVG file, as large as fits into the square and in its middle."""
    png = resvg_py.svg_to_bytes(svg_string=content.decode(), width=SIDE, height=SIDE, skip_system_fonts=True)
    return draw_picture(bytes(png))


def draw_picture(content: bytes) -> bytes:
    """Returns a PNG of a picture in any format of Pillow, as large as fits into the square and in its middle."""
    with Image.open(io.BytesIO(content)) as picture:
        square = ImageOps.pad(picture.convert("RGBA"), (SIDE, SIDE), Image.Resampling.LANCZOS, color=(0, 0, 0, 0))
    png = io.BytesIO()
    square.save(png, "PNG")
    return png.getvalue()
