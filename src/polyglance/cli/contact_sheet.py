"""Draws the results of several searches as one picture, with a row for each query, best results on the left."""

import importlib.util
import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps, features

from polyglance.data.images import decode
from polyglance.errors import PictureError

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

SIDE: Final = 104
"""The side of a picture on the sheet, in pixels."""
GAP: Final = 10
MARGIN: Final = 28
PER_ROW: Final = 6
TITLE_HEIGHT: Final = 46
ROW_HEIGHT: Final = 24 + SIDE + 20 + GAP
BLOCK_WIDTH: Final = PER_ROW * (SIDE + GAP) - GAP

PAPER, INK, FAINT, RIGHT = (250, 250, 247), (32, 34, 40), (125, 128, 136), (30, 150, 80)


@dataclass(frozen=True)
class SheetRow:
    """A search on the sheet.

    meaning: the query in English, which is drawn if no font has the letters of `query`.
    """

    language: str
    query: str
    meaning: str
    pictures: Sequence[tuple[Path, float | None]]
    """The pictures, best first, each with the probability that it fits; None if it was not reranked."""
    expected: Path
    """The expected picture, which gets a green frame."""


@dataclass(frozen=True)
class SheetBlock:
    """A column of the sheet: the same search in several languages."""

    title: str
    rows: Sequence[SheetRow]


def draw_contact_sheet(path: Path, blocks: Sequence[SheetBlock]) -> None:
    """Writes the sheet to `path`, with the blocks side by side."""
    rows = max(len(block.rows) for block in blocks)
    width = MARGIN + len(blocks) * (BLOCK_WIDTH + MARGIN)
    sheet = Image.new("RGB", (width, 2 * MARGIN + TITLE_HEIGHT + rows * ROW_HEIGHT - GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, block in enumerate(blocks):
        x = MARGIN + column * (BLOCK_WIDTH + MARGIN)
        draw.text((x, MARGIN), block.title, INK, font_for(block.title, 20))
        for number, row in enumerate(block.rows):
            _draw_row(sheet, draw, row, x, MARGIN + TITLE_HEIGHT + number * ROW_HEIGHT)
    sheet.save(path)


def _draw_row(sheet: Image.Image, draw: ImageDraw.ImageDraw, row: SheetRow, x: int, y: int) -> None:
    language, query = f"{row.language}  ", row.query
    font = font_for(query, 15)
    if font is None:
        query, font = f"({row.meaning})", font_for(row.meaning, 15)
    faint, small = font_for(language, 15), font_for("0", 12)
    indent = round(draw.textlength(language, faint))
    draw.text((x, y), language, FAINT, faint)
    draw.text((x + indent, y), _cut(draw, query, font, BLOCK_WIDTH - indent), INK, font)
    for rank, (picture, score) in enumerate(row.pictures[:PER_ROW], start=1):
        left, top = x + (rank - 1) * (SIDE + GAP), y + 24
        right = picture == row.expected
        sheet.paste(_thumbnail(picture), (left, top))
        if right:
            draw.rectangle((left - 3, top - 3, left + SIDE + 2, top + SIDE + 2), outline=RIGHT, width=3)
        judged = "" if score is None else f"   {score:.3f}"
        draw.text((left, top + SIDE + 4), f"{rank}{judged}", RIGHT if right else FAINT, small)


@cache
def _thumbnail(path: Path) -> Image.Image:
    """Returns the picture on a white square, or an empty square if it can no longer be read."""
    square = Image.new("RGB", (SIDE, SIDE), (255, 255, 255))
    with suppress(PictureError):
        fitted = ImageOps.contain(decode(path), (SIDE, SIDE))
        square.paste(fitted, ((SIDE - fitted.width) // 2, (SIDE - fitted.height) // 2))
    return square


def _cut(draw: ImageDraw.ImageDraw, text: str, font: Font | None, width: int) -> str:
    """Returns `text`, or as many of its characters as fit with an ellipsis."""
    if draw.textlength(text, font) <= width:
        return text
    while text and draw.textlength(text + "...", font) > width:
        text = text[:-1]
    return text.rstrip() + "..."


# -- fonts: none ships with the package; this machine's are asked for the letters --------------------------------------


def font_for(text: str, size: int) -> Font | None:
    """Returns a font of this machine with every letter of `text`, or None. Plain letters are always available."""
    letters = frozenset(character for character in text if unicodedata.category(character)[0] not in "CZ")
    file = _file_with(letters)
    if file is not None:
        return ImageFont.truetype(file, size)
    return ImageFont.load_default(size) if text.isascii() else None


@cache
def _file_with(letters: frozenset[str]) -> Path | None:
    needs_shaping = any(unicodedata.name(letter, "").startswith("BENGALI") for letter in letters)
    if needs_shaping and not features.check("raqm"):
        return None
    return next((file for file in _font_files() if _covers(file, letters)), None)


def _covers(file: Path, letters: frozenset[str]) -> bool:
    """Returns whether the font draws every letter differently from a code point that no font has."""
    try:
        font = ImageFont.truetype(file, 16, layout_engine=ImageFont.Layout.BASIC)
        missing = _drawn(font, "\U0010fffe")
        return all(_drawn(font, letter) != missing for letter in letters)
    except (OSError, ValueError):
        return False


def _drawn(font: ImageFont.FreeTypeFont, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


@cache
def _font_files() -> tuple[Path, ...]:
    """Returns font files of the system and matplotlib, upright sans-serif first, without fonts of boxes only."""

    def odd(file: Path) -> tuple[int, str]:
        name = file.name.lower()
        fancy = ("bold", "italic", "oblique", "mono", "condensed", "serif", "light", "thin", "black", "emoji")
        return sum(word in name for word in fancy) - name.startswith(("notosans", "dejavusans")), str(file)

    found = (
        Path(parent, name)
        for folder in _font_folders()
        for parent, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith((".ttf", ".otf", ".ttc")) and "lastresort" not in name.lower()
    )
    return tuple(sorted(found, key=odd))


def _font_folders() -> Iterator[Path]:
    home = Path.home()
    if sys.platform == "win32":
        yield Path(os.environ.get("WINDIR", r"C:\Windows"), "Fonts")
    elif sys.platform == "darwin":
        yield from (Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts")
    else:
        yield from (
            Path("/usr/share/fonts"),
            Path("/usr/local/share/fonts"),
            home / ".local/share/fonts",
            home / ".fonts",
        )
    matplotlib = importlib.util.find_spec("matplotlib")
    if matplotlib and matplotlib.origin:
        yield Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf"
