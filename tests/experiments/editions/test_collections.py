"""Collections of pictures, and that no picture of a measurement is one of a training."""

from pathlib import Path

import pytest

from experiments.editions.collections import (
    COLLECTIONS,
    FLICKR8K_LANGUAGES,
    Collection,
    clip_art,
    flickr8k,
    noto,
    of_artist,
)
from experiments.pictures.folders import ARTISTS, TRAINING_ARTISTS
from polyglance.data.gallery import gallery
from polyglance.errors import DataError
from tests.experiments.editions.tiny_collections import write_captions


def test_nothing_is_measured_on_training_material() -> None:
    assert set(ARTISTS) <= set(COLLECTIONS)
    assert not {*TRAINING_ARTISTS, "photographs"} & set(COLLECTIONS)


def test_flickr8k_asks_about_the_test_split_alone(tmp_path: Path) -> None:
    for code in FLICKR8K_LANGUAGES:
        rows = [("a.jpg", f"{code} one", "test"), ("b.jpg", f"{code} two", "train"), ("c.jpg", f"{code} three", "test")]
        write_captions(tmp_path / f"captions.{code}.jsonl", rows if code == "en" else rows[1:], tmp_path, code)
    collection = flickr8k(tmp_path)
    assert [path.name for path in collection.pictures] == ["a.jpg", "c.jpg"]
    assert collection.queries["captions", "en"] == [(0, "en one"), (1, "en three")]
    assert collection.queries["captions", "cs"] == [(1, "cs three")]


def test_a_picture_in_two_splits_is_refused(tmp_path: Path) -> None:
    write_captions(tmp_path / "captions.jsonl", [("a.png", "a cat", "train"), ("a.png", "a dog", "test")], tmp_path)
    with pytest.raises(DataError, match=r"expected each picture in one split, but .*a\.png is in train and in test"):
        clip_art(tmp_path)


def test_a_title_in_two_splits_is_refused(tmp_path: Path) -> None:
    write_captions(tmp_path / "captions.jsonl", [("a.png", "A  cat", "train"), ("b.png", "a cat", "test")], tmp_path)
    with pytest.raises(DataError, match="expected each text in one split, but a cat is in train and in test"):
        clip_art(tmp_path)


def test_clip_art_has_all_pictures_in_the_pool(tmp_path: Path) -> None:
    write_captions(tmp_path / "captions.jsonl", [("a.png", "a cat", "train"), ("b.png", "a dog", "test")], tmp_path)
    collection = clip_art(tmp_path)
    assert [path.name for path in collection.pictures] == ["a.png", "b.png"]
    assert collection.queries == {("titles", "en"): [(1, "a dog")]}


def test_emoji_that_every_artist_has_drawn(tmp_path: Path) -> None:
    first, second, third = gallery()[:3]
    for artist, drawn in {"one": (first, third), "two": (first, second, third)}.items():
        (tmp_path / artist).mkdir()
        for entry in drawn:
            (tmp_path / artist / f"{entry.id}.png").touch()
    collection = of_artist("two", {artist: tmp_path / artist for artist in ("one", "two")})
    assert collection.pictures == [tmp_path / "two" / f"{entry.id}.png" for entry in (first, third)]
    assert collection.queries["names", "ko"] == [(0, first.names["ko"]), (1, third.names["ko"])]


def test_an_artist_that_models_are_trained_on_is_refused() -> None:
    with pytest.raises(DataError, match="expected each artist in one split, but fxemoji is in train and in test"):
        of_artist("fxemoji")


def test_names_of_noto_are_those_held_out() -> None:
    collection, entries = noto(), gallery()
    for (kind, code), queries in collection.queries.items():
        if kind == "held-out names":
            assert all(
                entries[row].name_is_held_out(code) and entries[row].names[code] == text for row, text in queries
            )
            assert 100 < len(queries) < 200


def test_the_first_queries_keep_their_pictures() -> None:
    english, german, korean = ("names", "en"), ("names", "de"), ("names", "ko")
    queries = {english: [(2, "two"), (1, "one"), (0, "zero")], german: [(2, "zwei")], korean: [(3, "셋")]}
    few = Collection("c", [Path(name) for name in "abcd"], queries).first(2)
    assert few == Collection("c", [Path("b"), Path("c")], {english: [(1, "two"), (0, "one")], german: [(1, "zwei")]})
