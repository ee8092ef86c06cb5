"""The keys of inputs: alike where the model reads the same, and apart where it does not."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from polyglance.data.texts import is_of_text
from polyglance.errors import PictureError
from polyglance.models.identity import ModelIdentity
from polyglance.types import Text

PLAIN = ModelIdentity("tiny", None, "0123456789abcdef")
FRENCH = replace(PLAIN, added_languages={"fr": "weights-1"})
OF_REGIONS = replace(PLAIN, side_files=(".npz",))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "a.png")
    (tmp_path / "a.npz").write_bytes(b"what a detector saw")
    return tmp_path / "a.png"


def test_a_text_is_named_by_itself_the_model_and_how_its_language_is_read() -> None:
    key = FRENCH.key(Text("pain", "fr"))
    assert key == FRENCH.key(Text("pain", "fr"))
    for other in (
        FRENCH.key(Text("pains", "fr")),
        FRENCH.key(Text("pain", "en")),
        PLAIN.key(Text("pain", "fr")),
        replace(FRENCH, added_languages={"fr": "weights-2"}).key(Text("pain", "fr")),
        replace(FRENCH, fingerprint="another").key(Text("pain", "fr")),
    ):
        assert other != key


def test_languages_that_a_model_reads_alike_share_a_key() -> None:
    assert FRENCH.key(Text("pain", "en")) == FRENCH.key(Text("pain")) == PLAIN.key(Text("pain", "de"))


def test_a_picture_is_named_by_its_bytes_the_model_and_its_side_files(picture: Path) -> None:
    copy = picture.with_name("b.png")
    copy.write_bytes(picture.read_bytes())
    assert PLAIN.key(picture) == PLAIN.key(str(copy)) != replace(PLAIN, fingerprint="another").key(picture)
    copy.with_suffix(".npz").write_bytes(b"what another detector saw")
    assert PLAIN.key(picture) == PLAIN.key(copy)
    assert OF_REGIONS.key(picture) != OF_REGIONS.key(copy)


def test_a_stamp_tells_that_a_side_file_has_changed(picture: Path) -> None:
    plain, of_regions = PLAIN.stamp(picture), OF_REGIONS.stamp(picture)
    file = picture.with_suffix(".npz")
    facts = file.stat()
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns - 10**9))  # an older copy was put there
    assert PLAIN.stamp(picture) == plain
    assert OF_REGIONS.stamp(picture) != of_regions


def test_a_side_file_that_is_missing_is_named(picture: Path) -> None:
    picture.with_suffix(".npz").unlink()
    for asked in (OF_REGIONS.key, OF_REGIONS.stamp):
        with pytest.raises(PictureError, match=r"a\.npz.*no such file"):
            asked(picture)


def test_keys_of_texts_are_told_from_those_of_pictures(picture: Path) -> None:
    assert is_of_text(PLAIN.key(Text("a.png")))
    assert not is_of_text(PLAIN.key(picture))
