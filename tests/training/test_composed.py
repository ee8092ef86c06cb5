"""A model composed of two networks learns what four pictures show."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from polyglance.data.captions import Caption
from polyglance.data.questions import Question
from polyglance.errors import ConfigurationError
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.composed import ComposedModel
from polyglance.training.retrieval.objectives import RetrievalSettings
from polyglance.training.retrieval.trainer import train_retrieval
from polyglance.training.vqa import VqaSettings, train_vqa
from tests.backbone_checkpoints import composed, convnext
from tests.checkpoints import pictures
from tests.training.test_dual_tower import falls

CAPTIONS = ("a red star", "this is a plate", "stars on a plate", "is this red ?")
FAST = {"epochs": 150, "batch": 4, "learning_rate": 3e-3, "precision": "no"}
SHORT = {**FAST, "epochs": 60}
LONG = {**FAST, "epochs": 250}


@pytest.fixture(autouse=True)
def in_float32() -> Iterator[None]:
    """A process has one precision: that of other tests is forgotten before and this one's after."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> list[Caption]:
    paths = pictures(tmp_path_factory.mktemp("pictures"))
    return [Caption(path, text, "en") for path, text in zip(paths, CAPTIONS, strict=True)]


def made(folder: Path, classes: bool = True, feature_map: bool = False) -> ComposedModel:
    written = composed(folder, convnext, classes) if feature_map else composed(folder, classes=classes)
    model = load_folder(written, torch.float32)
    assert isinstance(model, ComposedModel)
    return model


def networks(model: ComposedModel) -> dict[str, Tensor]:
    """Returns what a training leaves as it is: the networks, and the names of classes."""
    classes = model.image_projection.by_class.state_dict() if model.image_projection.by_class else {}
    return {name: value.clone() for name, value in {**model.tower.network.state_dict(), **classes}.items()}


@pytest.mark.parametrize("classes", [True, False])
def test_projections_are_trained_over_what_frozen_networks_gave_once(
    captions: list[Caption], tmp_path: Path, classes: bool
) -> None:
    model = made(tmp_path / "model", classes, feature_map=True)
    before, stages = networks(model), list[str]()
    settings = RetrievalSettings(mode="twin", **LONG)
    trained, _ = train_retrieval(
        model, captions, tmp_path / "training", settings, report=lambda stage, *_: stages.append(stage)
    )
    assert stages.count("reading") == stages.count("reading texts") == 2
    assert falls(tmp_path / "training" / "retrieval.jsonl", "twin")
    assert all(torch.equal(value, before[name]) for name, value in networks(trained).items())
    assert trained.tasks == ("embed",)
    assert len(list((tmp_path / "training" / "states").glob("*.states"))) == 2, "on the disk, not in memory"
    found = trained.similarity(
        trained.encode_texts(CAPTIONS, "en"), trained.encode_images([one.image for one in captions])
    )
    assert found.argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_what_is_left_out_depends_on_seed_and_step_alone(captions: list[Caption], tmp_path: Path) -> None:
    settings = RetrievalSettings(mode="twin", epochs=3, batch=4, precision="no")

    def stopped(stage: str, done: int, total: int, losses: dict[str, float]) -> None:
        if stage == "retrieval" and done == 2:
            raise KeyboardInterrupt

    written, weights = composed(tmp_path / "model"), []
    for folder, seed in ((tmp_path / "whole", 1), (tmp_path / "resumed", 2)):
        torch.manual_seed(seed)
        model = load_folder(written, torch.float32)
        if seed == 2:
            with pytest.raises(KeyboardInterrupt):
                train_retrieval(load_folder(written, torch.float32), captions, folder, settings, report=stopped)
        weights.append(train_retrieval(model, captions, folder, settings)[0].text_projection.inner.weight)
    assert torch.equal(*weights)


def test_joint_layers_are_trained_too(captions: list[Caption], tmp_path: Path) -> None:
    trained, _ = train_retrieval(made(tmp_path / "model"), captions, tmp_path / "training", RetrievalSettings(**LONG))
    assert falls(tmp_path / "training" / "retrieval.jsonl", "twin", "match", "rank")
    save_model(trained, tmp_path / "saved")
    assert load_folder(tmp_path / "saved").tasks == ("embed", "match")


def test_adapters_in_the_networks_are_trained(captions: list[Caption], tmp_path: Path) -> None:
    model = made(tmp_path / "model")
    before = networks(model)
    trained, _ = train_retrieval(model, captions, tmp_path / "training", RetrievalSettings(adapters=True, **SHORT))
    assert falls(tmp_path / "training" / "retrieval.jsonl", "twin")
    assert all(torch.equal(value, before[name]) for name, value in networks(trained).items())
    assert isinstance(trained, ComposedModel)
    for adapter in trained.tower_adapters.values():
        assert adapter.up.abs().max() > 0.05


def test_a_depth_that_leaves_no_layer_of_a_network_is_refused(captions: list[Caption], tmp_path: Path) -> None:
    settings = RetrievalSettings(adapters=True, depth=2, **FAST)
    with pytest.raises(ConfigurationError, match="expected a depth of 0 to 1 in 2 layers"):
        train_retrieval(made(tmp_path / "model"), captions, tmp_path / "training", settings)


@pytest.mark.parametrize("adapters", [False, True])
def test_it_learns_to_answer(captions: list[Caption], tmp_path: Path, adapters: bool) -> None:
    asked = [
        Question(one.image, "what is on the plate", ("star", "tree")[row % 2], "en", split, f"{split}{row}")
        for split in ("train", "val")
        for row, one in enumerate(captions)
    ]
    settings = VqaSettings(steps=60, batch=4, learning_rate=3e-3, precision="no", adapters=adapters)
    report = train_vqa(made(tmp_path / "model"), "composed", asked, tmp_path / "answers", settings)
    assert report.accuracy == 100
    assert load_folder(tmp_path / "answers").tasks == ("embed", "answer")
