"""Photographs are scaled, and credited as their package says."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from experiments.pictures.photographs import credits_of, write_photographs
from polyglance.data.images import decode
from polyglance.errors import DataError
from tests.experiments.pictures.archives import write_deb

COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: nature/Sea.jpg
       nature/Hill.jpg
Copyright: 2008, Ana Ruiz <ana@example.org>
           Li Ming, 2010-2012
License: GPL-2+
Comment: see AUTHORS.

Files: 16.04/Cat.jpg
Copyright: 2018. "Bo"
License: CC-BY-4.0

License: CC-BY-4.0
 The text.
 .
 Files: of the text
"""


def jpeg(width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(content, "JPEG")
    return content.getvalue()


def package(path: Path) -> Path:
    files = {
        "./usr/share/doc/backgrounds/copyright": COPYRIGHT.encode(),
        "./usr/share/backgrounds/nature/Sea.jpg": jpeg(1600, 1024),
        "./usr/share/backgrounds/nature/Hill.jpg": jpeg(700, 1400),
        "./usr/share/backgrounds/nature/Drawn.jpg": jpeg(700, 700),
    }
    return write_deb(path, files)


def test_credits_have_neither_years_nor_addresses() -> None:
    ana = ("Ana Ruiz; Li Ming", "GPL-2+")
    assert credits_of(COPYRIGHT) == {"Sea.jpg": ana, "Hill.jpg": ana, "Cat.jpg": ('"Bo"', "CC-BY-4.0")}


def test_named_photographs_are_written(tmp_path: Path) -> None:
    write_photographs([package(tmp_path / "p.deb")], tmp_path, ("Hill.jpg", "Sea.jpg"))
    sizes = {path.name: decode(path).size for path in tmp_path.glob("*.jpg")}
    assert sizes == {"Sea.jpg": (800, 512), "Hill.jpg": (512, 1024)}
    lines = (tmp_path / "credits.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"file": name, "author": "Ana Ruiz; Li Ming", "licence": "GPL-2+"} for name in ("Hill.jpg", "Sea.jpg")
    ]


@pytest.mark.parametrize("name", ["Cat.jpg", "Drawn.jpg"])  # without a picture, without a licence
def test_a_photograph_that_is_missing_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"but these are missing: \['{name}'\]"):
        write_photographs([package(tmp_path / "p.deb")], tmp_path, ("Sea.jpg", name))
