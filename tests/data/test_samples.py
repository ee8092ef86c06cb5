"""Every sample picture may be redistributed: its author, its source and a free licence are named."""

import json

from polyglance.data.image_formats import SUFFIXES
from polyglance.data.images import decode
from polyglance.data.samples import samples_folder

FREE = {"public domain", "CC0-1.0", "CC-BY-2.0", "CC-BY-4.0", "MIT"}


def credited() -> list[dict]:
    lines = (samples_folder() / "credits.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_the_credits_name_every_picture_and_nothing_else():
    folder = samples_folder()
    pictures = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in SUFFIXES}
    assert sorted(row["file"] for row in credited()) == sorted(pictures)
    assert {name.split("/")[0] for name in pictures} == {"photographs", "clip-art", "emoji"}


def test_each_picture_has_an_author_a_source_and_a_free_licence():
    for row in credited():
        assert all(row[name] for name in ("title", "author", "source", "changes")), row
        assert row["licence"] in FREE, row
        text = row["licence_text"]
        if text is None:
            assert row["licence"] == "public domain", row
        elif not text.startswith("https://"):
            assert row["author"] in (samples_folder() / text).read_text(encoding="utf-8")


def test_the_pictures_are_small_and_can_be_read():
    folder = samples_folder()
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 600_000
    for row in credited():
        assert 128 <= max(decode(folder / row["file"]).size) <= 384, row["file"]
