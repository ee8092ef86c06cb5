"""Titles and keywords of Open Clip Art: what is read, what is chosen, and that the splits share nothing."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from experiments.pictures.openclipart import Said, said_of, spelling, splits, with_titles_of_their_own, write_clip_art
from polyglance.data.captions import read_captions
from polyglance.errors import DataError
from tests.experiments.pictures.archives import write_deb

ROOT = "./usr/share/openclipart"
SVG = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE svg [<!ENTITY ns_svg "http://www.w3.org/2000/svg">]>
<!-- a comment -->
<svg xmlns="&ns_svg;"><metadata><rdf:RDF xmlns="http://web.resource.org/cc/"
  xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><Work>
  <dc:creator><Agent><dc:title>An Author</dc:title></Agent></dc:creator>
  <dc:title>{title}</dc:title>
  <dc:subject><rdf:Bag><rdf:li>hash</rdf:li><rdf:li>roman_catholic</rdf:li><rdf:li>0x8a09</rdf:li><rdf:li>cat</rdf:li>
  <rdf:li>cat</rdf:li><rdf:li></rdf:li></rdf:Bag></dc:subject></Work></rdf:RDF></metadata></svg>"""


def svg(title: str) -> bytes:
    return SVG.replace("{title}", title).encode()


def png(number: int, blank: bool = False) -> bytes:
    picture, content = Image.new("RGB", (4, 4), (number, 0, 0)), io.BytesIO()
    if not blank:
        picture.putpixel((0, 0), (255, 255, 255))
    picture.save(content, "PNG")
    return content.getvalue()


def test_the_title_and_the_keywords_of_a_picture() -> None:
    assert said_of(svg("Clipart by A. B. - Black_cat &amp;\n  kitten")) == Said(
        "Black cat & kitten", ("roman catholic", "cat")
    )


@pytest.mark.parametrize("content", [b"", b"<svg", b"<svg/>", b'<?xml version="1.0" encoding="no-such"?><svg/>'])
def test_a_picture_without_metadata_says_nothing(content: bytes) -> None:
    assert said_of(content) is None


def test_titles_that_say_nothing_are_passed_over() -> None:
    said = {
        "animals/cat": "Cat",
        "animals/cat_2": "cat 2",
        "animals/a": "42 ab",
        "icons/one": "Nice Theme",
        "icons/two": "nice theme",
        "icons/three": "Nice-Theme",
        "shapes/star": "a star",
        "people/none": "",
        "people/man": "Man",
    }
    titled = with_titles_of_their_own({place: Said(title, ()) for place, title in said.items()})
    assert list(titled) == ["animals/cat", "people/man"]


def test_splits_do_not_depend_on_the_order() -> None:
    said = {f"{number}": Said(f"title {'x' * number}", ()) for number in range(20)}
    split_of = splits(said, 5, 3)
    assert split_of == splits(dict(reversed(said.items())), 5, 3)
    assert sorted(split_of.values()) == ["test"] * 5 + ["train"] * 12 + ["val"] * 3


def test_what_is_written(tmp_path: Path) -> None:
    names = {number: f"thing {chr(97 + number) * 3}" for number in range(9)}
    svgs = {f"{ROOT}/svg/food/{number}.svg": svg(name) for number, name in names.items()}
    pngs = {f"{ROOT}/png/food/{number}.png": png(number) for number in names}
    pngs[f"{ROOT}/png/food/6.png"] = png(5)
    pngs[f"{ROOT}/png/food/7.png"] = png(7, blank=True)
    pngs[f"{ROOT}/png/food/8.png"] = b"not a picture"
    more = {"./usr/share/doc/openclipart-png/copyright": b"public domain", f"{ROOT}/png/food/no_title.png": png(99)}
    svg_package, png_package = write_deb(tmp_path / "svg.deb", svgs), write_deb(tmp_path / "png.deb", pngs | more)
    write_clip_art(svg_package, png_package, tmp_path, test=2, val=1)
    captions = read_captions(tmp_path / "captions.jsonl")
    assert [one.image.relative_to(tmp_path).as_posix() for one in captions] == [
        f"pictures/food/{number}.png" for number in range(6)
    ]
    assert sorted(one.split for one in captions) == ["test", "test", "train", "train", "train", "val"]
    titles = {split: {spelling(one.caption) for one in captions if one.split == split} for split in ("train", "test")}
    assert not titles["train"] & titles["test"]
    keywords = read_captions(tmp_path / "keywords.jsonl")
    assert {one.image for one in keywords} == {one.image for one in captions if one.split == "train"}
    assert {one.caption for one in keywords} == {"roman catholic, cat"}
    assert (tmp_path / "LICENSE.txt").read_bytes() == b"public domain"
    assert len(list((tmp_path / "pictures").rglob("*.png"))) == 6
    assert all(json.loads(line)["language"] == "en" for line in (tmp_path / "captions.jsonl").read_text().splitlines())


def test_too_few_pictures_are_an_error(tmp_path: Path) -> None:
    svg_package = write_deb(tmp_path / "svg.deb", {f"{ROOT}/svg/food/1.svg": svg("a cat")})
    png_package = write_deb(tmp_path / "png.deb", {f"{ROOT}/png/food/1.png": png(1)})
    with pytest.raises(DataError, match="expected more than 1 pictures with titles"):
        write_clip_art(svg_package, png_package, tmp_path, test=1, val=0)
