import json
from pathlib import Path

import pytest
from PIL import Image

from polyglance.errors import ConfigurationError
from polyglance.scenes.grammar import grammars
from polyglance.scenes.make import make_scenes


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_pictures_captions_questions_and_graphs(tmp_path: Path) -> None:
    counts = make_scenes(tmp_path, 6, 2_000_000)
    languages = len(grammars())
    assert counts == {"pictures": 6, "captions": 6 * 3 * languages, "questions": 6 * 5 * languages}
    names = [f"scene_{2_000_000 + i}.png" for i in range(6)]
    for name in names:
        with Image.open(tmp_path / name) as picture:
            assert picture.size == (256, 256)
    captions = lines(tmp_path / "captions.jsonl")
    assert {row["image"] for row in captions} == set(names)
    assert {row["split"] for row in captions} == {"test"}
    assert all(row["image"] in row["true_of"] for row in captions)  # type: ignore[operator]
    question = lines(tmp_path / "questions.jsonl")[0]
    assert set(question) == {"id", "image", "question", "answer", "language", "split", "types"}
    graph = json.loads((tmp_path / "scene_graphs.json").read_text())["scene_2000000"]
    assert {"width", "height", "location", "objects"} == set(graph)
    for thing in graph["objects"].values():
        assert {"name", "x", "y", "w", "h", "attributes", "relations"} <= set(thing)
        assert all(relation["object"] in graph["objects"] for relation in thing["relations"])


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_scenes(tmp_path / name, 3, 5, languages=["en", "zh"], unique=True)
    for first in sorted((tmp_path / "a").iterdir()):
        assert first.read_bytes() == (tmp_path / "b" / first.name).read_bytes()


def test_unique_captions_are_true_of_one_picture(tmp_path: Path) -> None:
    make_scenes(tmp_path, 40, 0, languages=["en"], unique=True)
    rows = lines(tmp_path / "captions.jsonl")
    assert len(rows) > 36
    assert all(row["true_of"] == [row["image"]] for row in rows)


@pytest.mark.parametrize(
    ("count", "seed", "languages", "message"),
    [
        (0, 0, [], "at least 1"),
        (1, -1, [], "at least 0"),
        (10, 999_995, [], "two splits"),
        (1, 0, ["xx"], "not 'xx'"),
    ],
)
def test_what_cannot_be_made_is_refused(
    tmp_path: Path, count: int, seed: int, languages: list[str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_scenes(tmp_path / "out", count, seed, languages)
    assert not (tmp_path / "out").exists()
