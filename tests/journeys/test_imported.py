"""A published checkpoint's way through the real command: imported, trained, searched by and asked."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from polyglance.cli.app import app
from tests.cli.command import polyglance
from tests.single_stream_checkpoints import ANSWERS, bert, oscar, vilt, vilt_processor

COLOURS = ["red", "green", "blue", "white"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, captions and questions."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "pictures").mkdir()
    captions, questions = [], []
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (60 + 20 * number, 50), colour).save(folder / "pictures" / f"{colour}.png")
        captions.append({"image": f"pictures/{colour}.png", "caption": f"a star on a {'red ' * (number + 1)}plate"})
        questions.append({"image": f"pictures/{colour}.png", "question": "is this a star?", "answer": ANSWERS[number]})
    for name, lines in {"captions": captions, "questions": questions}.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def here(*words: str) -> str:
    """What a command writes, run in this process."""
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize(
    ("write", "more"), [(vilt, ()), (bert, ("--first-joint-layer", "2", "--kept-grid", "2"))], ids=["vilt", "bert"]
)
def test_a_checkpoint_becomes_a_model_that_searches(folder: Path, write, more) -> None:
    kind = write.__name__
    write(folder / kind)
    mine, trained, library = (str(folder / f"{name}-{kind}") for name in ("my", "trained", "library"))
    made = json.loads(here("model", "import", str(folder / kind), "--output", mine, *more, "--json"))
    assert (made["kind"], made["tasks"]) == (kind, [])
    data = ("--data", str(folder / "captions.jsonl"), "--epochs", "1", "--batch", "4")
    done = polyglance("train", "retrieval", *data, "--model", mine, "--output", trained)  # one process, one precision
    assert done.status == 0, done.errors
    here("index", str(folder / "pictures"), "--library", library, "--model", trained)
    found = json.loads(here("search", "a star on a red plate", "--library", library, "--json"))["results"]
    assert len(found) == 4
    assert all(one["score"] is not None for one in found)


def test_a_model_of_regions_is_trained_searched_by_and_asked(folder: Path) -> None:
    oscar(folder / "vinvl", normed=True)
    pictures, generator = folder / "seen", np.random.default_rng(0)
    shutil.copytree(folder / "pictures", pictures)
    lines = (folder / "questions.jsonl").read_text().replace("pictures/", "seen/")
    (folder / "seen.jsonl").write_text(lines)
    (folder / "captions-seen.jsonl").write_text((folder / "captions.jsonl").read_text().replace("pictures/", "seen/"))
    for number, colour in enumerate(COLOURS):
        features = generator.normal(size=(number + 1, 2048)).astype(np.float32)
        boxes = np.tile(np.array([[0, 0, 30, 40]], np.float32), (number + 1, 1))
        np.savez(pictures / f"{colour}.npz", features=features, boxes=boxes, image_size=(60 + 20 * number, 50))
    mine, trained, answers, library = (str(folder / f"{name}-vinvl") for name in ("my", "trained", "asked", "library"))
    here("model", "import", str(folder / "vinvl"), "--output", mine)
    for output, *words in (
        (trained, "retrieval", "--data", str(folder / "captions-seen.jsonl"), "--epochs", "1", "--batch", "4"),
        (answers, "vqa", "--data", str(folder / "seen.jsonl"), "--steps", "3", "--batch", "2", "--all-weights"),
    ):
        done = polyglance("train", *words, "--model", mine, "--output", output)
        assert done.status == 0, done.errors
    (pictures / "white.npz").unlink()
    indexed = json.loads(here("index", str(pictures), "--library", library, "--model", trained, "--json"))
    assert indexed["added"] == 3
    assert [Path(one["path"]).name for one in indexed["failed"]] == ["white.png"]
    assert "white.npz" in indexed["failed"][0]["reason"]
    found = json.loads(here("search", "a star on a red plate", "--library", library, "--json"))["results"]
    assert {Path(one["path"]).name for one in found} == {"red.png", "green.png", "blue.png"}
    answered = json.loads(
        here("ask", "is this a star?", "--image", str(pictures / "red.png"), "--model", answers, "--json")
    )
    assert {one["answer"] for one in answered["answers"]} <= set(ANSWERS)
    np.savez(pictures / "white.npz", features=features, boxes=boxes, image_size=(120, 50))
    report = json.loads(
        here("evaluate", "vqa", "--data", str(folder / "seen.jsonl"), "--split", "train", "--model", answers, "--json")
    )
    assert (report["questions"], report["missing"]) == (4, 0)
    assert report["controls"].keys() >= {"blank", "shuffled"}


def test_an_imported_answerer_answers_as_the_original(folder: Path) -> None:
    theirs, processor = vilt(folder / "answers", "answers"), vilt_processor()
    whole = ("--output", "my-answers", "--first-joint-layer", "0")
    done = polyglance("model", "import", "answers", *whole, cwd=folder)
    assert done.status == 0, done.errors
    assert "answer" in done.output
    done = polyglance(
        *("ask", "is this a star?", "--image", "pictures/blue.png", "--model", "my-answers", "--json"), cwd=folder
    )
    assert done.status == 0, done.errors
    prepared = processor(Image.open(folder / "pictures" / "blue.png"), return_tensors="pt")
    text = torch.tensor([[2, 9, 10, 5, 7, 13, 3]])
    with torch.no_grad():
        expected = theirs(input_ids=text, attention_mask=torch.ones_like(text), **prepared).logits[0].softmax(0)
    given = {answer["answer"]: answer["probability"] for answer in done.json["answers"]}
    for answer, probability in zip(ANSWERS, expected.tolist(), strict=True):
        assert given[answer] == pytest.approx(probability, abs=0.03)  # in bfloat16, where the processor has it
    measured = ("--data", str(folder / "questions.jsonl"), "--split", "train", "--model", str(folder / "my-answers"))
    report = json.loads(here("evaluate", "vqa", *measured, "--json"))
    assert (report["questions"], report["missing"]) == (4, 0)


def test_what_cannot_be_imported_is_one_clear_line(folder: Path) -> None:
    (folder / "pickled").mkdir()
    (folder / "pickled" / "config.json").write_text("{}")
    (folder / "pickled" / "pytorch_model.bin").write_bytes(b"\x80\x04")
    refused = polyglance("model", "import", "pickled", "--output", "never", cwd=folder)
    assert (refused.status, refused.output) == (1, "")
    assert "save_pretrained" in refused.errors
    assert refused.errors.count("\n") == 1
    assert not (folder / "never").exists()
