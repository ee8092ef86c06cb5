"""A model trained on one's own questions through the real command, asked, and what cannot be trained on."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.command import SOURCE, polyglance
from tests.journeys.tiny import save_tiny_model

TRAIN = ("train", "vqa", "--data", "questions.jsonl", "--model", "model", "--batch", "2")
LINES = [
    {"image": f"{name}.png", "question": "a red star", "answer": answer}
    for name, answer in (("red", "crimson"), ("white", "pale"), ("blue", "pale"))
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_tiny_model(tmp_path / "model")
    for line in LINES:
        Image.new("RGB", (32, 32), line["image"].removesuffix(".png")).save(tmp_path / line["image"])
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return tmp_path


def test_a_model_is_trained_and_answers_with_what_it_learned(folder: Path) -> None:
    trained = polyglance(*TRAIN, "--output", "mine", "--steps", "3", "--adapters", "--json", cwd=folder)
    assert (trained.status, trained.errors) == (0, "")
    facts = {key: trained.json[key] for key in ("questions", "held_out", "own_split", "answers", "known", "steps")}
    assert facts == {"questions": 2, "held_out": 1, "own_split": False, "answers": 2, "known": 0, "steps": 3}
    assert {path.name for path in (folder / "mine").iterdir()} >= {"model.safetensors", "config.json", "training"}
    assert (folder / "mine" / "training" / "losses.png").stat().st_size > 0
    again = polyglance(*TRAIN, "--output", "mine", "--steps", "3", "--adapters", cwd=folder)
    assert again.status == 0
    assert "2 answers (0 known before)" in again.output
    assert "a tenth of the pictures" in again.output
    asked = polyglance("ask", "a red star", "--image", "red.png", "--model", "mine", "--json", cwd=folder)
    assert {one["answer"] for one in asked.json["answers"]} == {"crimson", "pale"}


def test_precision_follows_the_processor_and_emulation_is_told(folder: Path) -> None:
    """The processor has AVX2 and nothing newer, by oneDNN's setting."""
    short, avx2 = (*TRAIN, "--steps", "2", "--output"), {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    chosen = polyglance(*short, "chosen", "--json", cwd=folder, **avx2)
    assert (chosen.status, chosen.errors, chosen.json["precision"]) == (0, "", "no")
    assert json.loads((folder / "chosen" / "training" / "settings.json").read_text())["precision"] == "no"
    named = polyglance(*short, "named", "--precision", "bf16", cwd=folder, **avx2)
    assert named.status == 0
    assert named.errors == (
        "polyglance: warning: this device multiplies bfloat16 more slowly than float32: --precision no takes less "
        "time\n"
    )
    assert "2 steps, precision bf16" in named.output.replace("\n", " ")


def test_a_plot_that_cannot_be_drawn_is_a_warning(folder: Path) -> None:
    (folder / "without" / "matplotlib").mkdir(parents=True)
    (folder / "without" / "matplotlib" / "__init__.py").write_text("raise ImportError('no such module')")
    path = f"{folder / 'without'}:{SOURCE}"
    trained = polyglance(*TRAIN, "--output", "mine", "--steps", "2", "--json", cwd=folder, PYTHONPATH=path)
    assert trained.status == 0, trained.errors
    assert trained.json["steps"] == 2
    assert trained.errors.startswith("polyglance: warning: drawing the losses needs matplotlib")
    assert trained.errors.count("\n") == 1
    assert (folder / "mine" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("lines", "more", "words"),
    [
        ([{**line, "split": "test"} for line in LINES], (), "of the split train, but there are only those of test"),
        ([{**line, "answer": "one"} for line in LINES], (), "two different answers or more, got 1"),
        (LINES, ("--learning-rate", "1e30"), "lower the learning rate"),
    ],
    ids=["split", "answers", "numbers"],
)
def test_what_cannot_be_trained_is_one_clear_line(folder: Path, lines, more, words: str) -> None:
    (folder / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    refused = polyglance(*TRAIN, "--output", "mine", *more, cwd=folder)
    assert (refused.status, refused.output) == (1, "")
    assert words in refused.errors
    assert refused.errors.count("\n") == 1
    assert not (folder / "mine" / "model.safetensors").exists()
