"""A published pair of towers through the real command: searched by at once, trained to rerank, searched by again."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from polyglance.cli.app import app
from tests.checkpoints import pictures, tiny_clip
from tests.cli.command import polyglance

CAPTIONS = ("a red star", "two green cars", "a tree", "a white plate")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("user")
    tiny_clip(folder / "clip")
    paths = pictures(folder / "pictures")
    lines = [
        {"image": f"pictures/{path.name}", "caption": caption} for path, caption in zip(paths, CAPTIONS, strict=True)
    ]
    (folder / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def here(*words: object) -> Result:
    """A command run in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def test_towers_search_at_once_and_rerank_when_trained(folder: Path) -> None:
    library, clip, mine = ("--library", folder / "library"), ("--model", folder / "clip"), folder / "mine"
    done = polyglance("index", "pictures", "--library", "library", "--model", "clip", "--json", cwd=folder)
    assert (done.status, done.errors, done.json["added"]) == (0, "", 4)

    assert here("search", "a red star", *library).stdout.count("was not trained to match") == 1
    found = json.loads(here("search", "a red star", *library, "--json").stdout)["results"]
    assert [one["score"] for one in found] == [None] * 4
    shown = json.loads(here("search", "--image", folder / "pictures" / "2.png", *library, "--json").stdout)["results"]
    assert shown[0]["path"].endswith("2.png")
    assert shown[0]["retrieval_score"] == pytest.approx(1, abs=1e-2)

    data = ("--data", folder / "captions.jsonl", "--epochs", "2", "--batch", "4", *clip)
    # In processes of their own: one process trains in one precision
    trained = polyglance("train", "retrieval", *data, "--freeze-lower", "--output", mine, "--json")
    assert (trained.status, trained.errors) == (0, "")
    assert here("search", "a red star", *library, "--model", mine).exit_code == 1, "another model's library"
    anew = ("--library", folder / "anew")
    assert here("index", folder / "pictures", *anew, "--model", mine).exit_code == 0
    found = json.loads(here("search", "a red star", *anew, "--json").stdout)["results"]
    assert len(found) == 4
    assert all(one["score"] is not None for one in found)
    refused = polyglance("train", "retrieval", *data, "--mode", "twin", "--output", folder / "twin")
    assert (refused.status, refused.output) == (1, "")
