"""Trained tasks: what is saved is what is loaded, and several at once answer as each does by itself."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.drop_depths import DepthCost, DepthTable
from polyglance.adapters.folded import FoldedWeights
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models import load_model
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.protocol import ImageBatch
from polyglance.models.tasks import TOKEN, FusedAdapters, TaskModel, TaskWeights, TrainedTask, load_task, save_task
from polyglance.nn.states import TokenStates
from tests.journeys.tiny import save_tiny_model

WIDTH, LAYERS = 16, 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SingleStreamModel:
    folder = save_tiny_model(tmp_path_factory.mktemp("model"), joint_layers=LAYERS)
    return load_model(str(folder)).float()


@pytest.fixture(scope="module")
def read(model: SingleStreamModel) -> tuple[TokenStates, TokenStates]:
    """Three questions about three pictures."""
    torch.manual_seed(0)
    texts = model.tokenize(["is it red", "a white plate and a star", "blue"])
    pixels = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    return model.read_text(texts), model.read_images(ImageBatch(pixels))


def filled(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module


def adapter(depth: int = 0) -> Adapter:
    return filled(Adapter(AdapterConfig(reduction_factor=4, depth=depth), WIDTH, LAYERS))


def fused() -> FusedAdapters:
    adapters = {"x": adapter(), "verify": adapter(1)}
    return FusedAdapters(filled(FusionWeights(tuple(adapters), 1, WIDTH, LAYERS)), adapters)


def pruned() -> FoldedWeights:
    whole = fused()
    whole.fusion.keep([["x"], ["verify"], ["x", "verify"]])
    return FoldedWeights.of(whole.fusion, whole.adapters)


def task(model: SingleStreamModel, name: str, weights: TaskWeights, depth: int | None = 0) -> TrainedTask:
    labels = ("no", "yes", name)
    scores = {"test": {"accuracy": 71.0}}
    return TrainedTask(name, labels, depth, weights, filled(nn.Linear(WIDTH, 3)), "tiny", model.fingerprint, scores)


@pytest.fixture
def tasks(model: SingleStreamModel) -> list[TrainedTask]:
    torch.manual_seed(3)
    return [
        task(model, "verify", adapter()),
        task(model, "late", adapter(2), 2),
        task(model, "any", adapter(), None),
        task(model, "mix", fused()),
        task(model, "dropped", fused(), 1),
        task(model, "pruned", pruned()),
    ]


def alone(model: SingleStreamModel, one: TrainedTask, text: TokenStates, images: TokenStates) -> Tensor:
    """The task's logits through the adapters as they are trained, and through all tokens of the last layer."""
    assert isinstance(one.weights, Adapter)
    adaptation = Adaptation(TrainableAdapters({"it": one.weights}), ["it"] * len(text))
    with torch.no_grad():
        return one.head(model.joint_layers(*model.join(TOKEN, text, images), adaptation)[:, 0])


def test_tasks_at_once_answer_as_each_by_itself(model, read, tasks) -> None:
    together = TaskModel(model, tasks).answer(*read)
    for one, logits in zip(tasks, together, strict=True):
        (by_itself,) = TaskModel(model, [one]).answer(*read)
        torch.testing.assert_close(logits, by_itself, atol=1e-5, rtol=1e-5)
        if isinstance(one.weights, Adapter):
            torch.testing.assert_close(logits, alone(model, one, *read), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(together[3], together[4], atol=0.01)


def test_saved_and_loaded_a_task_is_what_it_was(model, read, tasks, tmp_path) -> None:
    for one in tasks:
        save_task(one, tmp_path / one.name)
        loaded = load_task(tmp_path / one.name)
        assert vars(replace(loaded, weights=one.weights, head=one.head)) == vars(one)
        assert type(loaded.weights) is type(one.weights)
        (before,), (after,) = (TaskModel(model, [task]).answer(*read) for task in (one, loaded))
        torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)


def test_a_budget_chooses_the_depth_of_a_task(tasks, tmp_path) -> None:
    save_task(tasks[2], tmp_path)
    DepthTable((DepthCost(0, 5.0, 80.0), DepthCost(2, 3.0, 70.0))).save(tmp_path)
    assert load_task(tmp_path).depth is None
    assert [load_task(tmp_path, "auto", budget).depth for budget in (None, 6, 4)] == [0, 0, 2]
    with pytest.raises(ConfigurationError, match=r"at least 3\.00 ms"):
        load_task(tmp_path, "auto", 1)
    for depth in (None, 1):
        with pytest.raises(ConfigurationError, match=rf"expected the drop depth auto for a budget .* got {depth}"):
            load_task(tmp_path, depth, 6)


def test_a_depth_is_that_of_the_argument(model, read, tasks, tmp_path) -> None:
    for one in (tasks[0], tasks[1], tasks[5]):
        save_task(one, tmp_path / one.name)
        logits = []
        for depth in (1, 2) if one.name != "late" else (None, 2):
            found = load_task(tmp_path / one.name, depth)
            (by_argument,) = TaskModel(model, [found]).answer(*read)
            (expected,) = TaskModel(model, [replace(one, depth=depth or one.depth)]).answer(*read)
            torch.testing.assert_close(by_argument, expected, atol=1e-5, rtol=1e-5)
            logits.append(by_argument)
        assert torch.allclose(*logits) == (one.name == "late")
    for name, depth, lowest in (("verify", 3, 0), ("verify", -1, 0), ("late", 1, 2)):
        with pytest.raises(ConfigurationError, match=rf"a drop depth of {lowest} to 2 .* got {depth}"):
            load_task(tmp_path / name, depth)


def test_a_task_of_another_model_is_refused(tasks, tmp_path) -> None:
    other = load_model(str(save_tiny_model(tmp_path, seed=1, joint_layers=LAYERS)))
    with pytest.raises(CheckpointError, match=r"'verify' was trained in tiny \(.*this model is tiny \("):
        TaskModel(other, tasks)


def test_tasks_need_names_of_their_own(model, tasks) -> None:
    with pytest.raises(ConfigurationError, match="each of its own name, got verify, verify"):
        TaskModel(model, [tasks[0], tasks[0]])
    with pytest.raises(ConfigurationError, match="one task or more"):
        TaskModel(model, [])


def test_the_model_answers_as_ever_beside_its_tasks(model, read, tasks) -> None:
    before = model.answer_logits(*read)
    TaskModel(model, tasks).answer(*read)
    assert torch.equal(model.answer_logits(*read), before)


def described(change: dict[str, object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        facts = json.loads((folder / "task.json").read_text())
        (folder / "task.json").write_text(json.dumps(facts | change))

    return apply


def with_head(change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Callable[[Path], None]:
    return lambda folder: save_file(change(load_file(folder / "head.safetensors")), folder / "head.safetensors")


HARM: dict[str, tuple[Callable[[Path], object], str]] = {
    "no description": (lambda folder: (folder / "task.json").unlink(), "holds no task"),
    "torn": (lambda folder: (folder / "task.json").write_text('{"form'), "does not describe a task"),
    "a list": (lambda folder: (folder / "task.json").write_text("[]"), "format 1"),
    "format": (described({"format": 2}), "format 1"),
    "unknown": (described({"colour": 1}), "'colour' is unknown"),
    "name": (described({"name": ""}), "name is empty"),
    "labels": (described({"labels": ["yes", 1]}), "labels.1 to be a text"),
    "fewer labels": (described({"labels": ["yes"]}), "head.safetensors cannot be used"),
    "depth": (described({"depth": "deep"}), "a layer's number or 'robust'"),
    "depth too deep": (described({"depth": LAYERS}), "expected a depth of 0 to 2, got 3"),
    "kind": (described({"kind": "magic"}), "kind to be one of adapter, fusion, folded, got 'magic'"),
    "another kind": (described({"kind": "fusion"}), "holds no fusion"),
    "scores": (described({"scores": 7}), "scores to be an object"),
    "no head": (lambda folder: (folder / "head.safetensors").unlink(), "head.safetensors cannot be used"),
    "head cut": (lambda folder: (folder / "head.safetensors").write_bytes(b"12"), "head.safetensors cannot be used"),
    "infinite": (with_head(lambda head: {**head, "bias": head["bias"] / 0}), "finite numbers in bias"),
    "half a head": (with_head(lambda head: {"weight": head["weight"]}), "head.safetensors cannot be used"),
    "no adapter": (lambda folder: (folder / "adapter.safetensors").unlink(), "adapter.safetensors cannot be used"),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_harmed_folder_is_refused_in_one_line(tasks, tmp_path, harm) -> None:
    save_task(tasks[0], tmp_path)
    change, reason = HARM[harm]
    change(tmp_path)
    with pytest.raises(CheckpointError, match=reason) as caught:
        load_task(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_fusion_whose_adapters_were_swapped_is_refused(tasks, tmp_path) -> None:
    save_task(tasks[3], tmp_path)
    (tmp_path / "adapters" / "0").rename(tmp_path / "adapters" / "2")
    (tmp_path / "adapters" / "1").rename(tmp_path / "adapters" / "0")
    (tmp_path / "adapters" / "2").rename(tmp_path / "adapters" / "1")
    with pytest.raises(CheckpointError, match="expected the adapters x, verify, got verify, x"):
        load_task(tmp_path)
