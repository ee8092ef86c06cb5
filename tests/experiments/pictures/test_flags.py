"""Flags of countries are written with the countries' names."""

import json
from pathlib import Path

import pytest
from PIL import Image

from experiments.bundled_model.words import LANGUAGES
from experiments.pictures.flags import read_flags, write_flags
from polyglance.errors import DataError
from tests.experiments.pictures.archives import write_tgz

RED = {"body": '<path fill="red" d="M0 0h640v480H0z"/>', "width": 640, "height": 480}


def locales(path: Path) -> Path:
    said = {code: {"LT": f"Lithuania in {code}", "DE": "Germany", "XX": "nowhere"} for code in LANGUAGES}
    del said["bn"]["LT"], said["en"]["XX"]
    return write_tgz(
        path,
        {
            f"main/{code}/territories.json": json.dumps(
                {"main": {code: {"localeDisplayNames": {"territories": names}}}}
            ).encode()
            for code, names in said.items()
        },
    )


def test_a_country_with_a_name_has_its_flag_in_one_shape_and_names_in_all_languages(tmp_path: Path) -> None:
    icons = {"icons": {"lt-4x3": RED, "lt-1x1": RED, "xx-4x3": RED}}
    drawings = write_tgz(tmp_path / "flags.tgz", {"icons.json": json.dumps(icons).encode()})
    write_flags(drawings, locales(tmp_path / "names.tgz"), tmp_path)
    (flag,) = read_flags(tmp_path)
    assert flag.path == tmp_path / "lt.png"
    assert flag.names == {code: f"Lithuania in {code}" for code in LANGUAGES if code != "bn"}
    assert next(iter(flag.names)) == "en"
    with Image.open(flag.path) as picture:
        assert picture.size == (256, 256)
        assert picture.getpixel((128, 128)) == (255, 0, 0, 255)
        assert picture.getpixel((128, 10)) == (0, 0, 0, 0), "a flag is wider than high"


def test_a_package_without_its_files_is_named(tmp_path: Path) -> None:
    empty = write_tgz(tmp_path / "empty.tgz", {"readme": b""})
    with pytest.raises(DataError, match=r"empty\.tgz: expected a package with icons\.json"):
        write_flags(empty, locales(tmp_path / "names.tgz"), tmp_path)
