from pathlib import Path

import pytest
from PIL import Image, ImageOps

from polyglance.cli.contact_sheet import (
    BLOCK_WIDTH,
    MARGIN,
    PAPER,
    PER_ROW,
    RIGHT,
    SIDE,
    TITLE_HEIGHT,
    WORDS_HEIGHT,
    SheetBlock,
    SheetRow,
    draw_contact_sheet,
    font_for,
)
from polyglance.data.images import decode
from tests.shared_data import shared_data


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(8)]
    for number, path in enumerate(paths):
        Image.new("RGB", (40 + 10 * number, 60), (30 * number, 90, 120)).save(path)
    return paths


def row(pictures: list[Path], query: str = "a dog", expected: int = 0) -> SheetRow:
    scored = [(path, 1 - number / 10) for number, path in enumerate(pictures)]
    return SheetRow("English", query, "a dog", scored, pictures[expected])


def test_blocks_stand_side_by_side(tmp_path, pictures):
    sheet = tmp_path / "sheet.png"
    draw_contact_sheet(sheet, [SheetBlock("one", [row(pictures)]), SheetBlock("two", [row(pictures)] * 3)])
    with Image.open(sheet) as drawn:
        assert drawn.width == 2 * BLOCK_WIDTH + 3 * MARGIN
        assert drawn.format == "PNG"


@pytest.mark.parametrize(("expected", "framed"), [(2, True), (PER_ROW, False)])
def test_the_picture_looked_for_gets_a_green_frame(tmp_path, pictures, expected, framed):
    sheet = tmp_path / "sheet.png"
    draw_contact_sheet(sheet, [SheetBlock("", [row(pictures, expected=expected)])])
    with Image.open(sheet) as drawn:
        count = {colour: count for count, colour in drawn.getcolors(1 << 20)}
    assert (count.get(RIGHT, 0) > 1000) == framed


@pytest.mark.parametrize(("score", "faded"), [(0.9, False), (0.5, False), (0.4, True), (None, False)])
def test_a_picture_that_probably_does_not_fit_is_faded(tmp_path, pictures, score, faded):
    found = SheetRow("English", "a dog", "a dog", [(pictures[0], score)])
    draw_contact_sheet(tmp_path / "sheet.png", [SheetBlock("", [found])])
    with Image.open(tmp_path / "sheet.png") as drawn:
        middle = drawn.getpixel((MARGIN + SIDE // 2, MARGIN + TITLE_HEIGHT + WORDS_HEIGHT + SIDE // 2))
    assert (middle == (0, 90, 120)) != faded


def test_the_meaning_stands_beside_a_query_only_where_it_is_asked_for(tmp_path, pictures):
    found = SheetRow("German", "Hund", "a dog", [(pictures[0], 1.0)])
    inked = []
    for translated in (False, True):
        draw_contact_sheet(tmp_path / "sheet.png", [SheetBlock("", [found], translated)])
        with Image.open(tmp_path / "sheet.png") as drawn:
            line = drawn.crop((MARGIN, MARGIN + TITLE_HEIGHT, drawn.width, MARGIN + TITLE_HEIGHT + WORDS_HEIGHT))
            inked.append(sum(count for count, colour in line.getcolors(1 << 20) if colour != PAPER))
    assert inked[1] > inked[0]


@pytest.mark.parametrize(
    "query", ["a very long query " * 50, "কুকুর", "개", "狗", "\U000e0041 unheard of", "", "\x00\x1b"]
)
def test_any_query_is_drawn_or_replaced_by_its_meaning(tmp_path, pictures, query):
    draw_contact_sheet(tmp_path / "sheet.png", [SheetBlock("title", [row(pictures, query=query)])])
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_a_picture_that_cannot_be_read_leaves_its_place_white(tmp_path, pictures):
    pictures[0].write_bytes(b"torn")
    pictures[1].unlink()
    draw_contact_sheet(tmp_path / "sheet.png", [SheetBlock("", [row(pictures)])])
    with Image.open(tmp_path / "sheet.png") as drawn:
        assert drawn.getpixel((MARGIN + 50, MARGIN + TITLE_HEIGHT + WORDS_HEIGHT + 50)) == (255, 255, 255)


def test_a_picture_is_drawn_in_the_colours_of_its_profile(tmp_path):
    path = shared_data() / "cases" / "icc_gbr.png"
    draw_contact_sheet(
        tmp_path / "sheet.png", [SheetBlock("", [SheetRow("English", "a dog", "a dog", [(path, 1.0)], tmp_path)])]
    )
    expected = ImageOps.contain(decode(path), (SIDE, SIDE))
    place = (
        MARGIN + (SIDE - expected.width) // 2,
        MARGIN + TITLE_HEIGHT + WORDS_HEIGHT + (SIDE - expected.height) // 2,
    )
    with Image.open(tmp_path / "sheet.png") as drawn:
        found = drawn.crop((*place, place[0] + expected.width, place[1] + expected.height))
    assert found.tobytes() == expected.tobytes()


def test_a_font_is_only_given_for_letters_it_has():
    assert font_for("plain letters", 15) is not None
    assert font_for("\u0995\uac1c\U00012345", 15) is None, "no font has Bengali, Hangul and cuneiform at once"
