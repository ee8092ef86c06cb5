"""Other artists' emoji are named as the gallery names its own."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from experiments.pictures.drawing import draw_svg
from experiments.pictures.emoji_artists import ICONIFY_NAMES, icons_of, write_emoji, write_icons
from experiments.pictures.folders import ARTISTS, PICTURES, TRAINING_ARTISTS
from polyglance.data.gallery import GalleryEntry, gallery
from polyglance.errors import DataError
from tests.experiments.pictures.archives import write_tgz

RED = '<path fill="red" d="M0 0h32v32H0z"/>'


def entry(code_points: str, name: str = "") -> GalleryEntry:
    return GalleryEntry(code_points, Path(f"{code_points}.png"), "group", {"en": name or code_points}, {"en": ()})


def test_no_artist_is_both_measured_and_trained_on() -> None:
    assert not set(ARTISTS) & set(TRAINING_ARTISTS)
    assert {*ARTISTS, *TRAINING_ARTISTS} <= set(PICTURES)
    packages = [package for artist in (*ARTISTS, *TRAINING_ARTISTS) for package in PICTURES[artist].packages]
    assert len({package.name for package in packages}) == len(packages)


def test_pictures_of_the_gallery_are_written(tmp_path: Path) -> None:
    files = {
        "img/twitter/64/1f600.png": b"grin",
        "img/twitter/64/2764-fe0f.png": b"heart",
        "img/twitter/64/1f601.png": b"not of the gallery",
        "img/twitter/sheets/64.png": b"sheet",
    }
    package = write_tgz(tmp_path / "p.tgz", files)
    write_emoji(package, "img/twitter/64/", tmp_path, [entry("1f600"), entry("2764"), entry("1f602")])
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.png")} == {
        "1f600.png": b"grin",
        "2764.png": b"heart",
    }


def test_tones_of_skin_and_women_are_not_the_plain_emoji(tmp_path: Path) -> None:
    names = ("1f3c3", "1f3c3-1f3fb", "1f3c3-200d-2640-fe0f", "1f3c3-1f3fb-200d-2640-fe0f", "0023-fe0f-20e3")
    package = write_tgz(tmp_path / "p.tgz", {f"assets/{name}.svg": name.encode() for name in names})
    known = ("1f3c3", "1f3c3_200d_2640", "0023_20e3")
    write_emoji(package, "assets/", tmp_path, map(entry, known), bytes.upper)
    assert {path.stem: path.read_bytes() for path in tmp_path.glob("*.png")} == {
        "1f3c3": b"1F3C3",
        "1f3c3_200d_2640": b"1F3C3-200D-2640-FE0F",
        "0023_20e3": b"0023-FE0F-20E3",
    }


def test_icons_are_found_by_the_names_of_cldr_then_of_unicode() -> None:
    entries = [
        entry("1f604", "grinning face with smiling eyes"),
        entry("1f601", "beaming face with smiling eyes"),  # for Unicode: grinning face with smiling eyes
        entry("1f916", "robot"),  # for Unicode: robot face
        entry("1f3c3_200d_2640", "woman running"),
        entry("1f3c3", "person running"),
    ]
    icons = ["grinning-face-with-smiling-eyes", "robot-face", "woman-running", "woman-running-light-skin-tone"]
    assert icons_of(entries, icons, {}, {}) == {
        "1f604": "grinning-face-with-smiling-eyes",
        "1f916": "robot-face",
        "1f3c3_200d_2640": "woman-running",
    }


def test_an_alias_does_not_take_the_icon_of_another_emoji() -> None:
    insect, game = entry("1f997", "cricket"), entry("1f3cf", "cricket game")
    assert icons_of([insect, game], ["cricket-game"], {"cricket": "cricket-game"}, {}) == {"1f3cf": "cricket-game"}
    assert icons_of([insect], ["grasshopper"], {"cricket": "grasshopper"}, {}) == {"1f997": "grasshopper"}


def test_a_given_name_goes_before_what_it_says() -> None:
    head, animal = entry("1f436", "dog face"), entry("1f415", "dog")
    assert icons_of([animal, head], ["dog", "dogside"], {}, {"dog": "1f436"}) == {"1f436": "dog"}
    assert icons_of([animal], ["dog"], {}, {"dog": ""}) == {}


def test_the_given_names_are_of_one_icon_each() -> None:
    known = {one.id for one in gallery()}
    for artist, names in json.loads(ICONIFY_NAMES.read_text(encoding="utf-8")).items():
        assert artist in TRAINING_ARTISTS
        given = [code_points for code_points in names.values() if code_points in known]
        assert len(set(given)) == len(given) > 0


def test_icons_are_drawn(tmp_path: Path) -> None:
    icons = {
        "width": 32,
        "height": 32,
        "icons": {"robot-face": {"body": RED}, "wide-thing": {"body": RED, "width": 64}},
        "aliases": {"any": {"parent": "wide-thing"}},
    }
    package = write_tgz(tmp_path / "p.tgz", {"icons.json": json.dumps(icons).encode()})
    write_icons(package, "tiny", tmp_path, [entry("1f916", "robot"), entry("1f5ff", "any"), entry("1f600")])
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["1f5ff.png", "1f916.png"]
    with Image.open(tmp_path / "1f916.png") as square, Image.open(tmp_path / "1f5ff.png") as wide:
        assert square.mode == wide.mode == "RGBA"
        assert square.size == wide.size == (256, 256)
        assert square.getpixel((5, 5)) == (255, 0, 0, 255)
        assert [wide.getpixel((5, y)) for y in (5, 128, 250)] == [(0, 0, 0, 0), (255, 0, 0, 255), (0, 0, 0, 0)]
        assert wide.getpixel((200, 128)) == (0, 0, 0, 0)


def test_a_package_without_icons_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"p\.tgz: expected a package of Iconify with icons\.json"):
        write_icons(write_tgz(tmp_path / "p.tgz", {"README.md": b""}), "tiny", tmp_path, [])


def test_what_shines_through_keeps_its_colour() -> None:
    half = RED.replace("<path", '<path opacity="0.5"')
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{half}</svg>'
    with Image.open(io.BytesIO(draw_svg(svg.encode()))) as picture:
        red, green, blue, alpha = picture.getpixel((128, 128))
    assert (red, green, blue) == (255, 0, 0)
    assert 120 < alpha < 135
