"""Other artists' emoji are named as the gallery names its own."""

from pathlib import Path

from experiments.pictures.emoji_artists import write_emoji
from polyglance.data.gallery import GalleryEntry
from tests.experiments.pictures.archives import write_tgz


def entry(code_points: str) -> GalleryEntry:
    return GalleryEntry(code_points, Path(f"{code_points}.png"), "group", {"en": code_points}, {"en": ()})


def test_pictures_of_the_gallery_are_written(tmp_path: Path) -> None:
    files = {
        "img/twitter/64/1f600.png": b"grin",
        "img/twitter/64/2764-fe0f.png": b"heart",
        "img/twitter/64/1f601.png": b"not of the gallery",
        "img/twitter/sheets/64.png": b"sheet",
    }
    package = write_tgz(tmp_path / "p.tgz", files)
    write_emoji(package, "twitter", tmp_path, [entry("1f600"), entry("2764"), entry("1f602")])
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.png")} == {
        "1f600.png": b"grin",
        "2764.png": b"heart",
    }
