"""A language added by a user, through the real command."""

import json
from pathlib import Path

import pytest

from tests.cli.command import polyglance
from tests.journeys.tiny import save_tiny_model

FRENCH = [
    f"{thing} {paint}"
    for thing in ("une étoile", "une assiette", "la mer")
    for paint in ("rouge", "bleue", "ici", "là")
]


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `model`, pictures in a `library`, `french.txt`, `pairs.jsonl`, and the language in `french`."""
    folder = tmp_path_factory.mktemp("user")
    save_tiny_model(folder / "model")
    made = polyglance("scenes", "make", "scenes", "--count", "2", "--languages", "en", "--json", cwd=folder)
    read = polyglance("index", "scenes", "--model", "model", "--library", "library", "--json", cwd=folder)
    assert (made.status, read.status) == (0, 0), (made.errors, read.errors)
    (folder / "french.txt").write_text("\n".join(FRENCH), encoding="utf-8")
    pairs = [json.dumps({"en": f"a red star {number}", "fr": text}) for number, text in enumerate(FRENCH)]
    (folder / "pairs.jsonl").write_text("\n".join(pairs), encoding="utf-8")
    ended = train(folder, "--translations", "pairs.jsonl", "--images", "scenes", "--output", "french")
    assert (ended.status, ended.errors) == (0, "")
    assert ended.json["code"] == "fr"
    assert ended.json["translations"] == len(FRENCH)
    assert ended.json["perplexity"][0] > 1
    return folder


def train(user: Path, *arguments: str, corpus: str = "french.txt", language: str = "fr"):
    given = ("--language", language, "--corpus", corpus, "--model", "model", "--epochs", "2", "--steps", "2", "--json")
    return polyglance("train", "language", *given, *arguments, cwd=user)


def test_a_library_is_searched_and_asked_in_the_new_language(user: Path) -> None:
    found = polyglance("search", "une étoile rouge", "--library", "library", "--model", "french", "--json", cwd=user)
    assert (found.status, found.errors) == (0, "")
    assert found.json["language"] == "fr"
    assert len(found.json["results"]) == 2
    picture = found.json["results"][0]["path"]
    told = ("--image", picture, "--language", "fr", "--model", "french", "--json")
    asked = polyglance("ask", "une étoile ?", *told, "--library", "library", cwd=user)
    assert (asked.status, asked.errors) == (0, "")


def test_it_stands_among_the_adapters_and_the_models(user: Path) -> None:
    listed = polyglance("adapters", "list", "french", "--json", cwd=user)
    assert [one["name"] for one in listed.json["found"]] == ["fr"]
    info = polyglance("model", "info", "french", "--json", cwd=user)
    assert "fr" in info.json["languages"]
    assert (user / "french" / "training" / "losses.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"corpus": "none.txt"}, "none.txt"),
        ({"language": "de"}, "began with the language 'de'"),
        ({"language": "ru"}, "written in Cyrillic letters"),
    ],
)
def test_what_cannot_be_learned_is_refused_in_one_line(change: dict[str, str], words: str, user: Path) -> None:
    ended = train(user, "--output", "refused", **change)
    assert (ended.status, ended.output) == (1, "")
    assert ended.errors.count("\n") == 1
    assert words in ended.errors


def test_a_language_that_was_not_added_is_refused_with_those_that_were(user: Path) -> None:
    arguments = ("--library", "library", "--model", "french", "--language", "it")
    ended = polyglance("search", "una stella", *arguments, cwd=user)
    assert ended.status == 1
    assert "got 'it': the nearest is 'pt'" in ended.errors
