"""A tiny model trained on questions about pictures of four colours, in every way."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from polyglance.data.questions import Question
from polyglance.errors import ConfigurationError, DataError, TrainingError
from polyglance.models import load_model
from polyglance.models.added_language import Language
from polyglance.models.checkpoint import load_folder
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.reading import embed_all, read_pictures, read_texts
from polyglance.training.loop import read_log
from polyglance.training.vqa import VqaSettings, answering, parted, train_vqa, validations_of, vocabulary
from tests.journeys.tiny import save_tiny_model

NAMES = ("red", "white", "black", "blue")
ASKED = "a red star on a white plate"
FAST = VqaSettings(batch=6, learning_rate=5e-3, steps=60)


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> list[Question]:
    """The colour of each picture, and for two of them whether it is red; the same again to validate on."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in NAMES:
        Image.new("RGB", (32, 32), name).save(folder / f"{name}.png")
    asked = [(name, ASKED, name) for name in NAMES]
    asked += [(name, "red", "yes" if name == "red" else "no") for name in ("red", "blue")]
    return [
        Question(folder / f"{name}.png", text, answer, split=split)
        for split in ("train", "val")
        for name, text, answer in asked
    ]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"), joint_layers=2)


def right(model: SingleStreamModel, questions: list[Question]) -> float:
    pictures = read_pictures(model, [one.image for one in questions])
    given = model.answer_logits(read_texts(model, [one.question for one in questions]), pictures).argmax(dim=1).tolist()
    return sum(model.answers[row] == one.answer for row, one in zip(given, questions, strict=True)) / len(questions)


@pytest.mark.parametrize("more", [{"all_weights": True}, {}, {"adapters": True}])
def test_a_model_learns_its_questions_and_trains_what_it_should(tiny, questions, tmp_path, more) -> None:
    before = load_model(str(tiny)).float()
    report = train_vqa(load_model(str(tiny)), "tiny", questions, tmp_path / "out", replace(FAST, **more))
    after = load_folder(tmp_path / "out")
    assert (report.model, after.name) == ("tiny", "out")
    assert (report.questions, report.pictures, report.held_out, report.own_split) == (6, 4, 6, True)
    assert (report.answers, report.known) == (6, 4)
    assert report.steps == len(list(read_log(tmp_path / "out" / "training" / "vqa.jsonl"))) == 60
    assert (report.validated, len(report.validation)) == (6, 15)
    assert report.best == 1 + report.validation.index(max(report.validation))
    val = [one for one in questions if one.split == "val"]
    assert report.accuracy == max(report.validation) == pytest.approx(100 * right(after, val), abs=0.01)
    assert (report.commonest, report.learned, report.skipped) == (pytest.approx(100 / 6, abs=0.01), True, {})
    assert max(report.validation) >= 60
    old, new = before.state_dict(), after.float().state_dict()
    moved = {name.split(".")[0] for name, value in new.items() if name in old and value.shape == old[name].shape
             and not torch.allclose(value, old[name])}  # fmt: skip
    everything = {
        "token_embedding",
        "text_layers",
        "expand_image",
        "joint_layers",
        "stem",
        "image_layers",
        "compressor",
    }
    expected = {"adapters": set(), "all_weights": everything}
    assert moved & everything == expected.get(next(iter(more), ""), everything - {*SingleStreamModel.of_pictures})
    assert not moved & {"embed_head", "match_head"}


def test_adapters_leave_retrieval_as_it_was(tiny, questions, tmp_path) -> None:
    begun = answering(load_model(str(tiny)), load_model(str(tiny)).answers, VqaSettings(adapters=True))
    begun.fingerprint = "begun"
    paths, texts = [one.image for one in questions[:4]], list(NAMES)

    def searched(model: SingleStreamModel) -> tuple[torch.Tensor, torch.Tensor]:
        model = model.float().eval()
        pictures, read = read_pictures(model, paths), read_texts(model, texts)
        return embed_all(model, pictures), model.match(read, pictures)

    before = searched(begun)
    train_vqa(begun, "begun", questions, tmp_path / "out", replace(FAST, adapters=True, steps=20))
    for value, same in zip(searched(load_folder(tmp_path / "out")), before, strict=True):
        assert torch.allclose(value, same, atol=2e-2)


@pytest.mark.parametrize("more", [{"all_weights": True}, {"adapters": True}])
def test_a_killed_run_ends_as_one_that_was_not(tiny, questions, tmp_path, more) -> None:
    settings = replace(FAST, steps=20, **more)
    whole = train_vqa(load_model(str(tiny)), "tiny", questions, tmp_path / "whole", settings)

    def killed(stage: str, done: int, *_: object) -> None:
        if (stage, done) == ("vqa", 7):
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_vqa(load_model(str(tiny)), "tiny", questions, tmp_path / "killed", settings, killed)
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    assert train_vqa(load_model(str(tiny)), "tiny", questions, tmp_path / "killed", settings) == whole
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed")]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_answers_of_the_split_train_the_most_frequent_first(tiny) -> None:
    said = [("b", "train")] * 2 + [("c", "train"), ("a", "train"), ("yes", "train"), ("d", "test")]
    questions = [Question(Path("x"), "?", answer, split=split) for answer, split in said]
    assert vocabulary(questions) == ("b", "a", "c", "yes")
    model = load_model(str(tiny)).float()
    made = answering(model, vocabulary(questions), VqaSettings())
    assert made.answers == ("b", "a", "c", "yes")
    assert torch.equal(made.answer_head.weight[3], model.answer_head.weight[0])
    assert not any(torch.equal(row, old) for row in made.answer_head.weight[:3] for old in model.answer_head.weight)
    assert torch.equal(made.match_head.weight, model.match_head.weight)


def test_without_a_split_val_a_tenth_of_the_pictures_is_held_out() -> None:
    questions = [Question(Path(f"{row // 3}"), "?", "a") for row in range(60)]
    train, held_out = parted(questions, seed=1)
    assert (len(train), len(held_out)) == (54, 6)
    assert not {one.image for one in train} & {one.image for one in held_out}
    assert parted(questions, seed=1) == (train, held_out) != parted(questions, seed=2)


@pytest.mark.parametrize(("steps", "batch", "held_out"), [(300, 64, 3832), (3000, 64, 3832), (20, 64, 3832), (1, 1, 9)])
def test_validations_ask_a_bounded_share_of_what_is_trained_on(steps: int, batch: int, held_out: int) -> None:
    count, each = validations_of(steps * batch, held_out)
    assert count * each <= max(steps * batch / 4, each)
    assert each <= held_out
    assert each >= 200 or each == held_out
    assert 1 <= count <= 20
    assert validations_of(300 * 64, 3832) == (20, 240)


def test_validations_ask_a_part_and_the_end_asks_all(tiny, questions, tmp_path) -> None:
    many = [
        replace(one, question=f"{one.question} {row}") for row in range(40) for one in questions if one.split == "val"
    ]
    asked = [*(one for one in questions if one.split == "train"), *many]
    told: list[tuple[str, int, int]] = []
    report = train_vqa(
        load_model(str(tiny)),
        "tiny",
        asked,
        tmp_path / "out",
        replace(FAST, steps=150, adapters=True),
        lambda stage, done, total, _: told.append((stage, done, total)),
    )
    assert (report.held_out, report.validated, len(report.validation)) == (240, 200, 1)
    ended = [total for stage, done, total in told if stage == "validating" and done == total]
    assert ended == [200, 240]
    after = load_folder(tmp_path / "out").float()
    assert report.accuracy == pytest.approx(100 * right(after, many), abs=1)


def test_pictures_that_cannot_be_read_are_skipped_and_named(tiny, questions, tmp_path) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n")
    torn = [
        replace(questions[0], image=tmp_path / "torn.png", answer="torn", split=split) for split in ("train", "val")
    ]
    for more in ({}, {"all_weights": True}):
        settings = replace(FAST, steps=4, **more)
        report = train_vqa(load_model(str(tiny)), "tiny", [*torn, *questions], tmp_path / f"out{len(more)}", settings)
        assert (report.questions, report.held_out, report.answers) == (6, 6, 6)
        assert list(report.skipped) == [str(tmp_path / "torn.png")]


def test_a_training_that_learned_nothing_says_so(tiny, questions, tmp_path) -> None:
    def shuffled(question: Question, row: int) -> Question:
        return replace(question, answer=("a", "b")[row % 2], question=f"{row} {row}", image=questions[0].image)

    val = [one for one in questions if one.split == "val"] * 20
    blind = [*questions, *(replace(shuffled(one, row), split="val") for row, one in enumerate(val))]
    blind += [replace(shuffled(one, row), split="train") for row, one in enumerate(questions)]
    report = train_vqa(
        load_model(str(tiny)), "tiny", blind, tmp_path / "out", replace(FAST, steps=2, learning_rate=1e-9)
    )
    assert report.learned is False
    assert report.accuracy <= report.commonest + 10


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda q: replace(q, split="test"), "of the split train, but there are only those of test"),
        (lambda q: replace(q, answer="no"), "two different answers or more, got 1"),
        (
            lambda q: replace(q, split="train", image=q.image.with_name("red.png")),
            "two pictures or more to hold one out",
        ),
        (lambda q: replace(q, question="ดาวสีแดง", language="th"), r"cannot spell questions in th \('ดาวสีแดง'\)"),
        (lambda q: replace(q, image=Path(__file__)), r"test_vqa\.py: not a picture"),
    ],
    ids=["split", "answers", "pictures", "letters", "no picture"],
)
def test_what_cannot_be_trained_on_is_refused(tiny, questions, tmp_path, change, reason) -> None:
    with pytest.raises(DataError, match=reason):
        train_vqa(load_model(str(tiny)), "tiny", [change(one) for one in questions], tmp_path / "out", FAST)
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_what_is_no_number_leaves_the_last_good_checkpoint(tiny, questions, tmp_path) -> None:
    settings = replace(FAST, learning_rate=1e30, steps=40)
    with pytest.raises(TrainingError, match=r"vqa: .* after step|vqa: the loss loss is nan"):
        train_vqa(load_model(str(tiny)), "tiny", questions, tmp_path / "out", settings)
    if (kept := tmp_path / "out" / "training" / "vqa.safetensors").exists():
        assert all(value.isfinite().all() for value in load_file(kept).values())


def test_another_training_is_not_taken_up(tiny, questions, tmp_path) -> None:
    settings = replace(FAST, steps=2)
    train_vqa(load_model(str(tiny)), "tiny", questions, tmp_path / "out", settings)
    with pytest.raises(ConfigurationError, match="a training with another questions"):
        train_vqa(load_model(str(tiny)), "tiny", questions[:-1], tmp_path / "out", settings)
    with pytest.raises(ConfigurationError, match="a training with another seed"):
        train_vqa(load_model(str(tiny)), "tiny", questions, tmp_path / "out", replace(settings, seed=1))


def test_a_model_with_an_added_language_is_refused(tiny, questions, tmp_path) -> None:
    model = load_model(str(tiny))
    model.add_language(Language("fr", model.config.width, None, None))
    with pytest.raises(ConfigurationError, match="no language was added, got tiny with fr"):
        train_vqa(model, "tiny", questions, tmp_path / "out", FAST)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"batch": 0}, {"adapters": True, "all_weights": True}])
def test_settings_that_cannot_be_are_refused(wrong) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        VqaSettings(**wrong)
