"""Models from elsewhere through the real command: BLIP and sentence-transformers as one stage of a search or both."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polyglance.cli.app import app
from tests.blip_checkpoints import ANSWERS, tiny_blip, tiny_blip2, tiny_blip_vqa
from tests.checkpoints import pictures
from tests.sentence_checkpoints import tiny_cross_encoder, tiny_sentence_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("user")
    pictures(folder / "pictures")
    tiny_blip(folder / "blip")
    tiny_blip2(folder / "blip-2")
    tiny_blip_vqa(folder / "vqa")
    tiny_blip_vqa(folder / "vqa-list", ANSWERS)
    tiny_sentence_clip(folder / "embeds")
    tiny_cross_encoder(folder / "scores")
    return folder


def here(*words: str) -> dict:
    """What a command writes, run in this process."""
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_blip_indexes_retrieves_and_reranks(folder: Path) -> None:
    library = str(folder / "of-blip")
    assert here("index", str(folder / "pictures"), "--library", library, "--model", str(folder / "blip"))["added"] == 4
    found = here("search", "a red star", "--library", library)["results"]
    scores = [one["score"] for one in found]
    assert scores == sorted(scores, reverse=True)
    again = here("search", "a red star", "--library", library, "--reranker", str(folder / "blip"))["results"]
    assert [one["path"] for one in again] == [one["path"] for one in found]
    from_pixels = [one["score"] for one in again]
    assert from_pixels == pytest.approx(scores, abs=0.02), "stored states give what pixels give, but for 8 bits"


@pytest.mark.parametrize("reranker", ["{}/blip-2", "st:{}/scores/st"])
def test_one_model_retrieves_and_another_reranks(folder: Path, tmp_path: Path, reranker: str) -> None:
    library = str(tmp_path / "library")
    made = here("index", str(folder / "pictures"), "--library", library, "--model", f"st:{folder / 'embeds' / 'st'}")
    assert made["added"] == 4
    plain = here("search", "a red star", "--library", library)["results"]
    assert all(one["score"] is None for one in plain)
    found = here("search", "a red star", "--library", library, "--reranker", reranker.format(folder))["results"]
    scores = [one["score"] for one in found]
    assert scores == sorted(scores, reverse=True)
    assert {one["path"]: one["retrieval_score"] for one in found} == {
        one["path"]: one["retrieval_score"] for one in plain
    }


def test_blip_answers_questions_about_a_picture(folder: Path) -> None:
    about = ("ask", "what is red?", "--image", str(folder / "pictures" / "0.png"), "--model")
    listed = here(*about, str(folder / "vqa-list"))["answers"]
    assert {one["answer"] for one in listed} < set(ANSWERS)
    chances = [one["probability"] for one in listed]
    assert chances == sorted(chances, reverse=True)
    written = here(*about, str(folder / "vqa"))["answers"]
    assert len(written) == 5
    assert all(one["answer"] for one in written)
