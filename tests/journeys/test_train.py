"""What cannot be trained on, through the real command: one clear line, and nothing is made."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.command import polyglance
from tests.journeys.tiny import save_tiny_model

LINES = [{"image": f"{name}.png", "caption": f"a {name} star"} for name in ("red", "white", "blue")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stars")
    save_tiny_model(folder / "model")
    for line in LINES:
        Image.new("RGB", (32, 32), line["image"].removesuffix(".png")).save(folder / line["image"])
    return folder


@pytest.mark.parametrize(
    ("lines", "more", "words"),
    [
        (
            [*LINES, {"image": "a.png", "caption": "a"}, {"image": "b.png", "caption": "b", "split": "val"}],
            (),
            ("there is no picture a.png; b.png",),
        ),
        (
            [*LINES, {"image": "red.png", "caption": "ดาวสีแดง", "language": "th"}],
            (),
            ("cannot spell captions in th ('ดาวสีแดง')",),
        ),
        (
            [{**line, "split": "val"} for line in LINES],
            (),
            ("captions of the split train, but there are only those of val",),
        ),
        (LINES, ("--learning-rate", "1e30", "--epochs", "50"), ("is nan at step", "there is no checkpoint yet")),
        (LINES, ("--teacher", "nowhere"), ("nowhere",)),
    ],
    ids=["pictures", "letters", "split", "numbers", "teacher"],
)
def test_what_cannot_be_trained_is_one_clear_line(folder, lines, more, words) -> None:
    (folder / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    train = ("train", "retrieval", "--data", "captions.jsonl", "--model", "model", "--output", "trained")
    refused = polyglance(*train, *more, cwd=folder)
    assert (refused.status, refused.output) == (1, "")
    for part in words:
        assert part in refused.errors
    assert refused.errors.count("\n") == 1
    assert not (folder / "trained" / "model.safetensors").exists()


def test_captions_whose_ends_are_not_seen_are_counted(folder) -> None:
    long = {"image": "red.png", "caption": "a red star on a white plate " * 9}
    (folder / "long.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*LINES, long]))
    train = ("train", "retrieval", "--data", "long.jsonl", "--model", "model", "--epochs", "1", "--freeze-lower")
    ended = polyglance(*train, "--output", "cut", cwd=folder)
    assert ended.status == 0, ended.errors
    assert "whose ends are not seen: 1" in ended.output
