"""A tiny model trained on pictures of four colours, through every mode and loss."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from polyglance.data.captions import Caption
from polyglance.errors import ConfigurationError, DataError, TrainingError
from polyglance.evaluation.pools import pools
from polyglance.evaluation.systems import Evaluation, System
from polyglance.models import load_model
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.reading import read_pictures, read_texts
from polyglance.training.devices import native_precision
from polyglance.training.loop import read_log
from polyglance.training.retrieval.caption_batches import CaptionSource
from polyglance.training.retrieval.mining import NEAREST
from polyglance.training.retrieval.objectives import RetrievalLosses, RetrievalSettings
from polyglance.training.retrieval.teacher import Teacher
from polyglance.training.retrieval.trainer import train_retrieval
from tests.journeys.tiny import save_tiny_model

NAMES = ("red", "white", "black", "blue")
FAST = {"batch": 4, "learning_rate": 1e-3, "patience": 0}


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> list[Caption]:
    folder = tmp_path_factory.mktemp("pictures")
    for name in NAMES:
        Image.new("RGB", (32, 32), name).save(folder / f"{name}.png")
    return [Caption(folder / f"{name}.png", text, split="train") for name in NAMES for text in (name, f"a {name} star")]


@pytest.fixture(scope="module")
def easy(captions: list[Caption]) -> list[Caption]:
    """Of two pictures that every seed of the tiny model learns to tell apart, in any arithmetic; with four colours, one
    seed in two stays with two that it does not."""
    return [caption for caption in captions if caption.image.stem in ("red", "black")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"), seed=4, joint_layers=2)


def recall(model: SingleStreamModel, captions: list[Caption], twin: bool) -> float:
    model.eval()
    system = System(model, None) if twin else System(None, model)
    return Evaluation(system, pools(captions, "train")).scores(["text_to_image"])[0].percent["R@1"]


@pytest.mark.parametrize(
    ("mode", "more"),
    [
        ("twin", {}),
        ("twin", {"twin_loss": "sigmoid"}),
        ("twin", {"twin_loss": "triplet"}),
        ("cross", {}),
        ("cross", {"match_loss": "binary"}),
        ("joint", {}),
    ],
)
def test_a_model_learns_its_captions(tiny, easy, tmp_path, mode, more) -> None:
    settings = RetrievalSettings(mode=mode, epochs=80, **{**FAST, **more, "learning_rate": 2e-3})
    model, report = train_retrieval(load_model(str(tiny)), easy, tmp_path, settings)
    assert (report.captions, report.pictures, report.steps) == (4, 2, 80)
    assert report.precision == settings.precision == native_precision()
    rows = list(read_log(tmp_path / "retrieval.jsonl"))
    expected = {"twin": {"twin"}, "cross": {"match", "rank"}, "joint": {"twin", "match", "rank"}}[mode]
    assert set(report.losses) == (expected if "match_loss" not in more else {"match"})
    for name, value in report.losses.items():
        assert value < rows[0][name]
    for twin in {"twin": [True], "cross": [False], "joint": [True, False]}[mode]:
        assert recall(model, easy, twin) == 100
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("mode", ["twin", "cross"])
def test_a_model_that_could_do_nothing_is_validated_while_it_learns(tiny, captions, tmp_path, mode) -> None:
    model = load_model(str(tiny))
    model.config = replace(model.config, tasks=())
    settings = RetrievalSettings(mode=mode, epochs=2, **FAST)
    trained, report = train_retrieval(
        model, captions, tmp_path, settings, lambda m: recall(m, captions, mode == "twin")
    )
    assert len(report.validation) == 2
    assert trained.tasks == {"twin": ("embed",), "cross": ("match",)}[mode]


@pytest.mark.parametrize("more", [{}, {"freeze_lower": True, "mine": 2}, {"adapters": True}])
def test_a_killed_run_ends_as_one_that_was_not(tiny, captions, tmp_path, more) -> None:
    settings = RetrievalSettings(epochs=3, **FAST, **more)
    recalls: list[float] = []

    def validate(model: SingleStreamModel) -> float:
        recalls.append(recall(model, captions, twin=True))
        return recalls[-1]

    whole, report = train_retrieval(load_model(str(tiny)), captions, tmp_path / "whole", settings, validate)

    def killed(stage: str, done: int, *_: object) -> None:
        if (stage, done) == ("retrieval", 5):
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_retrieval(load_model(str(tiny)), captions, tmp_path / "killed", settings, validate, killed)
    again, after = train_retrieval(load_model(str(tiny)), captions, tmp_path / "killed", settings, validate)
    assert after == report
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    once_more, last = train_retrieval(load_model(str(tiny)), captions, tmp_path / "killed", settings, validate)
    assert last == report
    assert torch.equal(once_more.match_head.weight, whole.match_head.weight)


def test_the_best_validation_is_kept_and_ends_the_run(tiny, captions, tmp_path) -> None:
    kept: list[torch.Tensor] = []
    recalls = iter([10.0, 30.0, 20.0, 30.0, 99.0])

    def validate(model: SingleStreamModel) -> float:
        assert not model.training
        kept.append(model.match_head.weight.detach().clone())
        return next(recalls)

    settings = RetrievalSettings(epochs=5, **{**FAST, "patience": 2})
    model, report = train_retrieval(load_model(str(tiny)), captions, tmp_path, settings, validate)
    assert report.validation == (10, 30, 20, 30)
    assert (report.best_epoch, report.steps) == (2, 8)
    assert torch.equal(model.match_head.weight, kept[1])
    once_more, again = train_retrieval(load_model(str(tiny)), captions, tmp_path, settings, validate)
    assert again == report
    assert once_more.config.temperature == model.config.temperature != 0.07
    with pytest.raises(ConfigurationError, match="another captions"):
        train_retrieval(load_model(str(tiny)), captions[::-1], tmp_path, settings, validate)


def test_adapters_leave_the_body_as_it_was(tiny, easy, tmp_path) -> None:
    settings = RetrievalSettings(adapters=True, depth=1, epochs=80, **{**FAST, "learning_rate": 2e-3})
    stages: list[str] = []
    model, _ = train_retrieval(
        load_model(str(tiny)), easy, tmp_path / "run", settings, report=lambda stage, *_: stages.append(stage)
    )
    before = load_model(str(tiny)).float().state_dict()
    trained = [
        name for name, value in model.state_dict().items() if name not in before or not torch.equal(value, before[name])
    ]
    assert {name.split(".")[0] for name in trained} == {"task_adapters", "embed_head", "match_head"}
    assert stages.count("reading") == 2
    assert recall(model, easy, twin=True) == 100
    save_model(model, tmp_path / "model")
    loaded = load_folder(tmp_path / "model")
    assert loaded.config.task_adapters.depth == 1
    assert loaded.config.temperature == model.config.temperature != 0.07
    with pytest.raises(ConfigurationError, match="leave the depth out"):
        train_retrieval(loaded, easy, tmp_path / "again", settings)


def gradients(losses: RetrievalLosses) -> dict[str, torch.Tensor]:
    torch.stack(list(losses.train().step(0).values())).sum().backward()
    return {name: value.grad for name, value in losses.named_parameters() if value.grad is not None}


def test_frozen_lower_layers_stay_and_the_rest_learns_as_without(tiny, captions, tmp_path) -> None:
    settings = RetrievalSettings(freeze_lower=True, epochs=1, **FAST)
    before = load_model(str(tiny)).float().state_dict()
    model, _ = train_retrieval(load_model(str(tiny)), captions, tmp_path, settings)
    moved = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved >= {"compressor", "kept_position", "expand_text", "expand_image", "joint_layers", "task_token"}
    assert not moved & {*SingleStreamModel.below, "answer_head"}
    source = CaptionSource(captions, 4, seed=0)
    ours = gradients(RetrievalLosses(load_model(str(tiny)).float(), source, settings))
    whole = gradients(RetrievalLosses(load_model(str(tiny)).float(), source, replace(settings, freeze_lower=False)))
    assert {name for name in whole if not name.removeprefix("model.").startswith(SingleStreamModel.below)} == set(ours)
    for name, value in ours.items():
        assert (value - whole[name]).norm() <= 0.02 * whole[name].norm() + 1e-6, name


def test_pictures_and_texts_are_read_once_for_runs_that_freeze_the_same_layers(tiny, captions, tmp_path) -> None:
    stages: list[str] = []
    for number, freezing in enumerate(({"freeze_lower": True}, {"freeze_lower": True}, {"adapters": True})):
        RetrievalLosses(
            load_model(str(tiny)).float(),
            CaptionSource(captions, 4, seed=number),
            RetrievalSettings(**freezing),
            tmp_path,
            lambda stage, done, *_: done or stages.append(stage),
        )
        assert stages == ["reading", "reading texts", "reading"][: (2, 2, 3)[number]]
    os.utime(captions[0].image, ns=(1, 1))
    RetrievalLosses(
        load_model(str(tiny)).float(),
        CaptionSource(captions, 4, seed=0),
        RetrievalSettings(freeze_lower=True),
        tmp_path,
        lambda stage, done, *_: done or stages.append(stage),
    )
    assert stages[3:] == ["reading"]


def test_wrong_pictures_are_mined_every_few_epochs_and_come_into_the_batch(tiny, captions, tmp_path) -> None:
    stages: list[str] = []
    settings = RetrievalSettings(mode="twin", mine=2, epochs=5, **FAST)
    losses = RetrievalLosses(
        load_model(str(tiny)).float(),
        CaptionSource(captions, 4, seed=0),
        settings,
        report=lambda stage, done, *_: done or stages.append(stage),
    )
    for step in range(10):
        losses.train().step(step)
        assert stages == ["mining"] * (1 + step // 4)
    assert losses.state_dict()["mined"].shape == (8, NEAREST)
    for text, rows in enumerate(losses.mined[:, :3].tolist()):
        assert sorted([text // 2, *rows]) == [0, 1, 2, 3]
    assert (losses.mined[:, 3:] == -1).all()


@pytest.mark.parametrize("mode", ["twin", "cross", "joint"])
def test_a_teacher_gives_its_order_and_stays_as_it_is(tiny, captions, tmp_path, mode) -> None:
    teacher = load_model(str(save_tiny_model(tmp_path / "teacher", seed=5, joint_layers=3))).float()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    settings = RetrievalSettings(mode=mode, epochs=2, **FAST)
    _, report = train_retrieval(load_model(str(tiny)), captions, tmp_path / "run", settings, teacher=teacher)
    of_mode = {"twin": {"twin_order"}, "cross": {"match_order"}, "joint": {"twin_order", "match_order"}}[mode]
    assert {name for name in report.losses if name.endswith("order")} == of_mode
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any("teacher" in name for name in load_file(tmp_path / "run" / "retrieval.safetensors"))
    with pytest.raises(ConfigurationError, match="a training with another teacher"):
        train_retrieval(load_model(str(tiny)), captions, tmp_path / "run", settings)


def test_the_order_is_learned_by_what_is_trained_alone(tiny, captions) -> None:
    source, settings = CaptionSource(captions, 8, seed=0), RetrievalSettings(**FAST)
    same = RetrievalLosses(load_model(str(tiny)).float(), source, settings, teacher=load_model(str(tiny)))
    assert same.train().step(0)["match_order"] < 1e-3
    other = load_model(str(tiny)).float()
    other.match_head.weight.data *= 50
    assert RetrievalLosses(same.model, source, settings, teacher=other).train().step(0)["match_order"] > 0.01
    own = RetrievalLosses(load_model(str(tiny)).float(), source, replace(settings, distil=True)).train()
    own.step(0)["twin_order"].backward()
    assert own.model.embed_head.weight.grad.norm() > 0
    assert own.model.match_head.weight.grad is None


def test_a_sharpness_of_zero_draws_the_negatives_of_a_cross_encoder_alone(tiny, captions) -> None:
    def losses(**settings: object) -> dict[str, float]:
        source = CaptionSource(captions, 8, seed=0)
        model = load_model(str(tiny)).float()
        model.match_head.weight.data *= 50
        step = RetrievalLosses(model, source, RetrievalSettings(**FAST, **settings)).train().step(0)
        return {name: loss.item() for name, loss in step.items() if name in ("match", "rank")}

    alone = losses(mode="cross")
    assert losses(sharpness=0.0) == pytest.approx(alone, rel=1e-4)
    assert losses(sharpness=1000.0) != pytest.approx(alone, rel=1e-2)


def test_a_teacher_scores_the_pairs_by_its_own_reading(tiny, captions) -> None:
    teacher = load_model(str(tiny)).float()
    images = tuple(dict.fromkeys(caption.image for caption in captions))
    taught = Teacher.read(teacher, images, "bf16", None, None).scores(
        ["red", "blue"], torch.tensor([3, 0]), (torch.tensor([0, 1, 0]), torch.tensor([0, 1, 1]))
    )
    texts, pictures = (
        read_texts(teacher, ["red", "blue", "red"]),
        read_pictures(teacher, [images[3], images[0], images[0]]),
    )
    assert torch.allclose(taught, teacher.match(texts, pictures), atol=1e-3)


def broken(captions: list[Caption], folder: Path) -> list[Caption]:
    (folder / "torn.png").write_bytes(b"torn")
    return [*captions, Caption(folder / "torn.png", "torn")]


@pytest.mark.parametrize("freezing", [{}, {"adapters": True}, {"freeze_lower": True}])
def test_a_broken_picture_is_named_and_left_out(tiny, captions, tmp_path, freezing) -> None:
    settings = RetrievalSettings(epochs=2, **FAST, **freezing)
    _, report = train_retrieval(load_model(str(tiny)), broken(captions, tmp_path), tmp_path / "run", settings)
    assert list(report.skipped) == [str(tmp_path / "torn.png")]
    with pytest.raises(DataError, match=r"torn\.png"):
        train_retrieval(load_model(str(tiny)), broken([], tmp_path), tmp_path / "other", settings)


def test_what_is_no_number_ends_the_run_and_leaves_the_last_good_checkpoint(tiny, captions, tmp_path) -> None:
    settings = RetrievalSettings(mode="twin", epochs=3, **FAST)
    epochs: list[int] = []

    def poison(model: SingleStreamModel) -> float:
        epochs.append(len(epochs))
        with torch.no_grad():
            model.embed_head.bias.fill_(torch.nan if epochs == [0, 1] else 0)
        return 1.0

    message = r"weights are no finite numbers after step 3; the last checkpoint is .*retrieval\.safetensors: lower the"
    with pytest.raises(TrainingError, match=message):
        train_retrieval(load_model(str(tiny)), captions, tmp_path, settings, poison)
    kept = load_file(tmp_path / "retrieval.safetensors")
    assert kept["steps"] == 2
    assert all(value.isfinite().all() for value in kept.values())
    _, report = train_retrieval(load_model(str(tiny)), captions, tmp_path, settings, poison)
    assert report.steps == 6
    model = load_model(str(tiny))
    model.embed_head.bias.data.fill_(torch.nan)
    with pytest.raises(TrainingError, match=r"retrieval: the loss twin is nan at step 0; there is no checkpoint yet"):
        train_retrieval(model, captions, tmp_path / "first", settings)


def test_a_folder_of_another_training_is_refused(tiny, captions, tmp_path) -> None:
    train_retrieval(load_model(str(tiny)), captions, tmp_path, RetrievalSettings(epochs=1, **FAST))
    older = json.loads((tmp_path / "settings.json").read_text())
    del older["mine"], older["teacher"]
    (tmp_path / "settings.json").write_text(json.dumps(older))
    train_retrieval(load_model(str(tiny)), captions, tmp_path, RetrievalSettings(epochs=1, **FAST))
    with pytest.raises(ConfigurationError, match="a training with another epochs, mode"):
        train_retrieval(load_model(str(tiny)), captions, tmp_path, RetrievalSettings(mode="twin", epochs=2, **FAST))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: RetrievalSettings(batch=1), "2 or more captions a batch and 1 or more batches a step, got 5, 1 and 1"),
        (
            lambda: RetrievalSettings(drop_tokens=1.0),
            "expected to drop a share of tokens from 0 to less than 1, got 1.0",
        ),
        (lambda: RetrievalSettings(sharpness=-1.0), "expected a sharpness of 0 or more, got -1.0"),
        (lambda: RetrievalSettings(depth=2), "adapters to leave out of 2 layers"),
        (lambda: RetrievalSettings(mode="cross", mine=1), "the mode is cross: leave mine out"),
        (
            lambda: RetrievalSettings(mode="twin", distil=True),
            "expected mode joint for a model to teach itself, got twin",
        ),
    ],
)
def test_settings_that_mean_nothing_are_refused(make: Callable[[], RetrievalSettings], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        make()


@pytest.mark.parametrize("more", [{}, {"freeze_lower": True}])
def test_pictures_that_cannot_be_read_are_skipped_and_named(tiny, captions, tmp_path, more) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n")
    settings = RetrievalSettings(epochs=1, **FAST, **more)
    told: list[str] = []
    _, report = train_retrieval(
        load_model(str(tiny)),
        [Caption(tmp_path / "torn.png", "torn"), *captions],
        tmp_path / "training",
        settings,
        report=lambda stage, *_: told.append(stage),
    )
    assert (report.captions, report.pictures) == (8, 4)
    assert list(report.skipped) == [str(tmp_path / "torn.png")]
    assert list(dict.fromkeys(told)) == [
        "checking pictures",
        *(["reading", "reading texts"] if more else []),
        "retrieval",
    ]
    with pytest.raises(DataError, match=r"none of 1 pictures can be read: .*torn\.png: "):
        train_retrieval(load_model(str(tiny)), [Caption(tmp_path / "torn.png", "torn")], tmp_path / "none", settings)
