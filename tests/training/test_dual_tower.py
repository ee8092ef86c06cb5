"""Joint layers over towers, and adapters in them, learn what four pictures show."""

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pytest
import torch
from safetensors.torch import load_file

from polyglance.adapters.config import AdapterConfig
from polyglance.data.captions import Caption
from polyglance.data.questions import Question
from polyglance.errors import ConfigurationError
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.dual_tower import DualTowerModel
from polyglance.training.loop import read_log
from polyglance.training.retrieval.caption_batches import CaptionSource
from polyglance.training.retrieval.objectives import RetrievalLosses, RetrievalSettings
from polyglance.training.retrieval.trainer import train_retrieval
from polyglance.training.vqa import VqaSettings, train_vqa
from tests.checkpoints import DUAL_TOWERS, pictures

CAPTIONS = ("a red star", "two green cars", "a tree", "a white plate")
SMALL = {"width": 48, "heads": 4, "feed_forward": 96, "layers": 2, "state_width": 32}
FAST = {"epochs": 80, "batch": 4, "learning_rate": 1e-3, "precision": "no"}


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


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    parent = tmp_path_factory.mktemp("towers")
    return {name: DUAL_TOWERS[name](parent / name) for name in ("clip", "siglip", "metaclip2")}


def small(folder: Path) -> DualTowerModel:
    return DualTowerModel.from_checkpoint(folder, folder.name, torch.float32, **SMALL)


def tower_of(model: DualTowerModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.tower.network.state_dict().items()}


def falls(log: Path, *losses: str) -> bool:
    rows = list(read_log(log))
    return all(fmean(row[loss] for row in rows[-5:]) < 0.9 * rows[0][loss] for loss in losses)


@pytest.mark.parametrize(("name", "freeze_lower"), [("clip", True), ("metaclip2", False)])
def test_joint_layers_learn_over_frozen_towers(
    folders: dict[str, Path], captions: list[Caption], tmp_path: Path, name: str, freeze_lower: bool
) -> None:
    """Towers are frozen whether or not it is asked for; pictures are then read once."""
    model = small(folders[name])
    before, own = tower_of(model), model.embed(model.read_text(model.tokenize(CAPTIONS)))
    stages: list[str] = []
    trained, report = train_retrieval(
        model,
        captions,
        tmp_path,
        RetrievalSettings(freeze_lower=freeze_lower, **FAST),
        report=lambda stage, *_: stages.append(stage),
    )
    assert stages.count("reading") == 2
    assert falls(tmp_path / "retrieval.jsonl", "match", "rank")
    assert all(torch.equal(value, before[key]) for key, value in tower_of(trained).items())
    assert torch.equal(trained.embed(trained.read_text(trained.tokenize(CAPTIONS))), own)
    assert trained.tasks == ("embed", "match")
    assert report.pictures == 4
    save_model(trained, tmp_path / "model")
    assert load_folder(tmp_path / "model").tasks == ("embed", "match")
    checkpoint = load_file(tmp_path / "retrieval.safetensors")
    assert not any("vision_model" in key for key in checkpoint), "a checkpoint holds no tower"


def test_adapters_learn_in_frozen_towers(folders: dict[str, Path], captions: list[Caption], tmp_path: Path) -> None:
    model = small(folders["clip"])
    before, own = tower_of(model), model.embed(model.read_text(model.tokenize(CAPTIONS)))
    trained, _ = train_retrieval(model, captions, tmp_path, RetrievalSettings(adapters=True, **FAST))
    assert falls(tmp_path / "retrieval.jsonl", "twin")
    assert all(torch.equal(value, before[key]) for key, value in tower_of(trained).items())
    assert trained.config.tower_adapters == AdapterConfig()
    assert not torch.allclose(trained.embed(trained.read_text(trained.tokenize(CAPTIONS))), own, atol=1e-3)
    save_model(trained, tmp_path / "model", torch.float32)
    again = load_folder(tmp_path / "model", torch.float32)
    texts = again.read_text(again.tokenize(CAPTIONS))
    assert torch.equal(again.embed(texts), trained.embed(trained.read_text(trained.tokenize(CAPTIONS))))

    once_more = RetrievalLosses(again, CaptionSource(captions, 4, seed=0), RetrievalSettings(freeze_lower=True, **FAST))
    assert {name for name, weight in again.named_parameters() if not weight.requires_grad} == {
        name for name, _ in again.named_parameters() if name.startswith("tower_adapters")
    }
    assert set(once_more.step(0)) == {"twin", "match", "rank"}


def test_a_twin_encoder_of_frozen_towers_has_nothing_to_train(
    folders: dict[str, Path], captions: list[Caption], tmp_path: Path
) -> None:
    model = small(folders["clip"])
    with pytest.raises(ConfigurationError, match=r"something to train.*towers.*adapters"):
        train_retrieval(model, captions, tmp_path / "frozen", RetrievalSettings(mode="twin", **FAST))
    train_retrieval(model, captions, tmp_path / "adapted", RetrievalSettings(mode="twin", adapters=True, **FAST))
    assert falls(tmp_path / "adapted" / "retrieval.jsonl", "twin")


def test_mining_and_a_teacher_read_towers_too(
    folders: dict[str, Path], captions: list[Caption], tmp_path: Path
) -> None:
    settings = RetrievalSettings(mine=1, **{**FAST, "epochs": 2})
    _, report = train_retrieval(small(folders["clip"]), captions, tmp_path, settings, teacher=small(folders["siglip"]))
    assert {"twin_order", "match_order"} <= set(report.losses)


@pytest.mark.parametrize("adapters", [False, True])
def test_questions_are_learned_over_towers(
    folders: dict[str, Path], captions: list[Caption], tmp_path: Path, adapters: bool
) -> None:
    model = small(folders["siglip"])
    own = model.embed(model.read_text(model.tokenize(CAPTIONS)))
    asked = [
        Question(one.image, "what is on the plate", ("star", "tree")[row % 2], "en", split, f"{split}{row}")
        for split in ("train", "val")
        for row, one in enumerate(captions)
    ]
    settings = VqaSettings(steps=60, batch=4, learning_rate=3e-3, precision="no", adapters=adapters)
    report = train_vqa(model, "siglip", asked, tmp_path / "out", settings)
    assert falls(tmp_path / "out" / "training" / "vqa.jsonl", "loss")
    assert report.validation[report.best - 1] == 100
    assert report.known == 0
    after = load_folder(tmp_path / "out", torch.float32)
    assert after.tasks == ("embed", "answer")
    assert after.answers == ("star", "tree")
    same = torch.allclose(after.embed(after.read_text(after.tokenize(CAPTIONS))), own, atol=1e-6)
    assert same != adapters, "with adapters in the towers their vectors are others"
