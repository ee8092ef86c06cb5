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

SIDE: Final = 112
"""The side of a picture on the sheet, in pixels."""
GAP: Final = 10
MARGIN: Final = 28
PER_ROW: Final = 5
TITLE_HEIGHT: Final = 46
WORDS_HEIGHT, BASELINE = 24, 16
ROW_HEIGHT: Final = WORDS_HEIGHT + SIDE + 20 + GAP
LEGEND_HEIGHT: Final = 20 + MARGIN
BLOCK_WIDTH: Final = PER_ROW * (SIDE + GAP) - GAP

LEGEND: Final = (
    "The number below a picture is the probability that it fits. Pictures below 0.5 are faded. "
    "The scene that was described is framed in green."
)

PAPER, INK, FAINT, RIGHT = (250, 250, 247), (32, 34, 40), (125, 128, 136), (30, 150, 80)


@dataclass(frozen=True)
class SheetRow:
    """A search on the sheet.

    meaning: the query in English, which is drawn in its place if no font has its letters.
    """

    language: str
    query: str
    meaning: str
    pictures: Sequence[tuple[Path, float | None]]
    """The pictures, best first, each with the probability that it fits; None if it was not reranked."""
    expected: Path | None = None
    """The expected picture, which gets a green frame, if one is expected."""


@dataclass(frozen=True)
class SheetBlock:
    """A column of the sheet: searches in several languages.

    translated: whether the meaning of a query stands beside it.
    """

    title: str
    rows: Sequence[SheetRow]
    translated: bool = False


def is_likely(score: float | None) -> bool:
    """Returns whether a picture more likely fits than not. A picture without a probability counts as fitting."""
    return score is None or score >= 0.5


def draw_contact_sheet(path: Path, blocks: Sequence[SheetBlock]) -> None:
    """Writes the sheet to `path`, with the blocks side by side and a legend below them."""
    rows = max(len(block.rows) for block in blocks)
    width = MARGIN + len(blocks) * (BLOCK_WIDTH + MARGIN)
    bottom = MARGIN + TITLE_HEIGHT + rows * ROW_HEIGHT
    sheet = Image.new("RGB", (width, bottom + LEGEND_HEIGHT), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, block in enumerate(blocks):
        x = MARGIN + column * (BLOCK_WIDTH + MARGIN)
        draw.text((x, MARGIN), block.title, INK, font_for(block.title, 20))
        for number, row in enumerate(block.rows):
            y = MARGIN + TITLE_HEIGHT + number * ROW_HEIGHT
            _draw_words(draw, row, block.translated, x, y + BASELINE)
            _draw_pictures(sheet, draw, row, x, y + WORDS_HEIGHT)
    draw.text((MARGIN, bottom), LEGEND, FAINT, font_for(LEGEND, 15))
    sheet.save(path)


def _draw_words(draw: ImageDraw.ImageDraw, row: SheetRow, translated: bool, x: int, y: int) -> None:
    parts = [(row.language, FAINT)]
    drawable = font_for(row.query, 15) is not None
    if drawable:
        parts.append((row.query, INK))
    if not drawable or (translated and row.meaning != row.query):
        parts.append((f"({row.meaning})", FAINT if drawable else INK))
    right = x + BLOCK_WIDTH
    for text, colour in parts:
        font = font_for(text, 15)
        draw.text((x, y), _cut(draw, text, font, right - x), colour, font, anchor="ls")
        x += round(draw.textlength(text, font)) + GAP


def _draw_pictures(sheet: Image.Image, draw: ImageDraw.ImageDraw, row: SheetRow, x: int, y: int) -> None:
    for number, (picture, score) in enumerate(row.pictures[:PER_ROW]):
        left = x + number * (SIDE + GAP)
        expected = picture == row.expected
        fits = is_likely(score)
        sheet.paste(_thumbnail(picture) if fits else _faded(_thumbnail(picture)), (left, y))
        if expected:
            draw.rectangle((left - 3, y - 3, left + SIDE + 2, y + SIDE + 2), outline=RIGHT, width=3)
        if score is not None:
            colour = RIGHT if expected else INK if fits else FAINT
            draw.text((left, y + SIDE + 4), f"{score:.3f}", colour, font_for("0", 12))


def _faded(picture: Image.Image) -> Image.Image:
    return Image.blend(picture, Image.new("RGB", picture.size, PAPER), 0.75)


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
