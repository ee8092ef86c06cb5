"""What a task of questions is trained on: the model's own joint layers, each picture read once."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from polyglance.data.questions import Question
from polyglance.errors import DataError
from polyglance.models import load_model
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.protocol import ImageBatch
from polyglance.models.reading import read_pictures
from polyglance.models.tasks import TaskModel, load_task
from polyglance.nn.states import TokenStates
from polyglance.training.state_cache import keep_states, states_key
from polyglance.training.tasks.questions import QuestionInputs, train_question_task
from polyglance.training.tasks.trainer import TaskSettings
from tests.journeys.tiny import save_tiny_model

COLOURS = {"red": (220, 40, 40), "green": (40, 160, 60), "blue": (40, 80, 220)}
TEXTS = ["is it red", "a white plate and a star on a plate", "blue", "is it blue"]
PICTURE_OF = torch.tensor([0, 2, 2, 1])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SingleStreamModel:
    return load_model(str(save_tiny_model(tmp_path_factory.mktemp("model"), joint_layers=3))).float()


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    for name, colour in COLOURS.items():
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{name}.png")
    return [tmp_path / f"{name}.png" for name in COLOURS]


@pytest.fixture
def inputs(model: SingleStreamModel, paths: list[Path]) -> QuestionInputs:
    return QuestionInputs(model, model.tokenize(TEXTS), read_pictures(model, paths), PICTURE_OF)


def test_kept_states_are_those_of_the_model(model, inputs) -> None:
    states = keep_states(inputs, (2,), dtype=torch.float32)
    with torch.no_grad():
        first, _ = model.joint_layers.first(*states.before(2, torch.arange(4)), start=2)
        expected, _ = model.joint("answer", model.read_text(inputs.texts), inputs.pictures[PICTURE_OF])
    torch.testing.assert_close(first, expected, atol=1e-5, rtol=1e-5)


def changed(inputs: QuestionInputs, what: str) -> QuestionInputs:
    pictures = inputs.pictures
    match what:
        case "pictures":
            return replace(inputs, pictures=TokenStates(pictures.hidden + 1e-3, pictures.mask, "image"))
        case "picture_of":
            return replace(inputs, picture_of=PICTURE_OF.flip(0))
        case _:
            return replace(inputs, texts=inputs.model.tokenize([*TEXTS[:3], "is it red"]))


@pytest.mark.parametrize("what", ["pictures", "picture_of", "texts"])
def test_the_key_covers_all_that_is_read(inputs, what) -> None:
    before = states_key(inputs, (1,), torch.bfloat16)
    assert states_key(changed(inputs, what), (1,), torch.bfloat16) != before


def test_each_picture_is_read_once(model, paths, tmp_path) -> None:
    read: list[int] = []

    class Counting(SingleStreamModel):
        def read_images(self, batch: ImageBatch) -> TokenStates:
            read.append(len(batch.pixels))
            return super().read_images(batch)

    model.__class__ = Counting
    questions = [
        Question(path, "is it red", "yes" if path.stem == "red" else "no", split=split)
        for path in paths
        for split in ("train", "train", "test")
    ]
    settings = TaskSettings(epochs=3, depth=1)
    report = train_question_task(model, "tiny", questions, tmp_path / "task", "red", settings)
    model.__class__ = SingleStreamModel
    assert read == [3]
    assert report.questions == 6
    assert report.labels == ("no", "yes")
    assert report.scores["test"]["questions"] == 3
    assert report.scores["test"]["most_frequent"] == 66.67


def test_a_trained_task_answers_as_it_was_scored(model, paths, tmp_path) -> None:
    questions = [Question(path, "what colour is it", path.stem, split=s) for path in paths for s in ("train", "val")]
    settings = TaskSettings(epochs=120, batch=4, learning_rate=2e-2)
    report = train_question_task(model, "tiny", questions, tmp_path / "task", "colours", settings)
    task = load_task(tmp_path / "task")
    assert task.scores == report.scores
    pictures = read_pictures(model, paths)
    text = model.read_text(model.tokenize(["what colour is it"] * 3))
    (logits,) = TaskModel(model, [task]).answer(text, pictures)
    answered = [task.labels[index] for index in logits.argmax(dim=-1).tolist()]
    assert report.scores["val"]["accuracy"] == pytest.approx(100 * share(answered, list(COLOURS)), abs=0.01)
    assert answered == list(COLOURS)


def share(answered: list[str], right: list[str]) -> float:
    return sum(one == other for one, other in zip(answered, right, strict=True)) / len(right)


def test_an_answer_that_training_never_saw_counts_as_wrong(model, paths, tmp_path) -> None:
    questions = [Question(path, "what colour is it", path.stem) for path in paths[:2]]
    questions.append(Question(paths[2], "what colour is it", "blue", split="test"))
    report = train_question_task(model, "tiny", questions, tmp_path / "task", "colours", TaskSettings(epochs=1))
    assert report.scores["test"] == {"questions": 1, "accuracy": 0.0, "most_frequent": 0.0}


def test_nothing_to_train_on_is_refused(model, paths, tmp_path) -> None:
    questions = [Question(paths[0], "what", "red", split="test"), Question(paths[1], "what", "green")]
    with pytest.raises(DataError, match="two different answers or more, got 1 with 1"):
        train_question_task(model, "tiny", questions, tmp_path / "task", "x", TaskSettings())
