"""A published pair of towers through the real command: exported in 8-bit integers, indexed and searched by."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from polyglance.cli.app import app
from polyglance.errors import ConfigurationError, LibraryMismatch
from polyglance.kernels.processor import adds_int8_products_in_32_bits
from tests.checkpoints import pictures, tiny_clip
from tests.cli.command import polyglance


def here(*words: object) -> Result:
    """A command run in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def test_an_export_indexes_and_searches(tmp_path: Path) -> None:
    clip, fast, library = tiny_clip(tmp_path / "clip"), tmp_path / "fast", ("--library", tmp_path / "library")
    shown, *_ = pictures(tmp_path / "pictures")
    (tmp_path / "captions.jsonl").write_text(json.dumps({"image": "pictures/0.png", "caption": "a red star"}) + "\n")

    own = ("--images", shown.parent)
    made = polyglance("model", "export", "clip", "--output", "fast", *own, "--json", cwd=tmp_path, HOME=str(tmp_path))
    assert (made.status, made.errors) == (0, "")
    report = made.json
    assert (report["name"], report["pictures"], report["refusal"]) == ("fast", 1002, "")
    assert report["overflow_fix"] is not adds_int8_products_in_32_bits()
    assert 0.99 < report["least_cosine"] <= report["mean_cosine"] <= 1
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"clip", "fast", "pictures", "captions.jsonl"}, "the libraries keep notes of their own in HOME"
    assert json.loads(here("model", "info", fast, "--json").stdout)["fingerprint"] == report["fingerprint"]

    assert here("index", shown.parent, *library, "--model", fast).exit_code == 0
    found = json.loads(here("search", "--image", shown, *library, "--json").stdout)["results"]
    assert found[0]["path"] == str(shown)
    assert found[0]["retrieval_score"] == pytest.approx(1, abs=1e-3)
    other = here("search", "a red star", *library, "--model", clip)
    assert isinstance(other.exception, LibraryMismatch)

    trained = here(
        "train", "retrieval", "--data", tmp_path / "captions.jsonl", "--model", fast, "--output", tmp_path / "mine"
    )
    assert isinstance(trained.exception, ConfigurationError)
    assert "train the original" in str(trained.exception)
    again = here("model", "export", fast, "--output", tmp_path / "faster")
    assert isinstance(again.exception, ConfigurationError)
    assert not (tmp_path / "faster").exists()
