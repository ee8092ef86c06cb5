"""Tasks and fusions are learned from kept states, go on after a kill, and leave alone what is frozen."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from polyglance.adapters.composition import Drop, Fuse
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.modules import Adapter
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.errors import ConfigurationError
from polyglance.training.loop import read_log
from polyglance.training.state_cache import keep_states, weights_fingerprint
from polyglance.training.tasks.trainer import (
    SORTED_BATCHES,
    Examples,
    ShuffledByLength,
    TaskSettings,
    accuracy,
    predict,
    train_fusion,
    train_task,
)
from polyglance.types import StageProgress
from tests.training.inputs import LAYERS, WIDTH, TinyInputs

SMALL = AdapterConfig(reduction_factor=4)
SETTINGS = TaskSettings(epochs=12, batch=16, learning_rate=2e-2)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On busy cores a second one costs products as small as these ten times their time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def examples(depths: tuple[int, ...], count: int = 128, seed: int = 0) -> Examples:
    inputs = TinyInputs.make(count, seed)
    return Examples(keep_states(inputs, depths), inputs.labels)


def killed_at(step: int) -> StageProgress:
    def report(stage: str, done: int, total: int, losses: dict[str, float]) -> None:
        if done == step:
            raise KeyboardInterrupt

    return report


@pytest.mark.parametrize("depth", [0, 2, LAYERS - 1, None])
def test_a_task_is_learned(tmp_path: Path, depth: int | None) -> None:
    settings = replace(SETTINGS, depth=depth)
    depths = settings.depths(LAYERS)
    before = weights_fingerprint(TinyInputs.make().encoder)
    train = examples(depths)
    held_out = examples(depths, 64, seed=1)
    done = train_task(train, 2, tmp_path, settings, SMALL, held_out)
    assert done.adapter.config.depth == (depth or 0)
    assert weights_fingerprint(train.states.encoder) == before
    assert len(done.report.losses) == settings.epochs
    assert done.report.losses[-1] < done.report.losses[0] / 2
    assert done.report.accuracy is not None
    assert done.report.accuracy > 85
    assert done.report.layers_spared == (1.5 if depth is None else depth)
    assert done.report.kept_bytes == train.states.nbytes
    assert done.report.epoch_seconds > 0
    assert done.report.keep_seconds > 0


def test_a_robust_adapter_serves_every_depth(tmp_path: Path) -> None:
    settings = replace(SETTINGS, depth=None)
    train, held_out = examples(settings.depths(LAYERS)), examples((0,), 64, seed=1)
    done = train_task(train, 2, tmp_path, settings, SMALL)
    source = TrainableAdapters({"a": done.adapter})
    assert all(accuracy(held_out, source, Drop("a", depth), done.head) > 85 for depth in range(LAYERS))


def test_where_states_were_kept_changes_nothing(tmp_path: Path) -> None:
    """But for the rounding of the states."""
    settings = replace(SETTINGS, depth=2, epochs=2)
    logits = []
    for kept in ((2,), (0, 1)):
        done = train_task(examples(kept), 2, tmp_path / str(kept), settings, SMALL)
        held_out = examples((0,), 64, seed=1)
        logits.append(predict(held_out.states, TrainableAdapters({"a": done.adapter}), "a", done.head))
    torch.testing.assert_close(*logits, atol=0.1, rtol=0.1)


def test_a_killed_training_ends_like_one_that_was_not(tmp_path: Path) -> None:
    settings = replace(SETTINGS, depth=1, epochs=3)
    train = examples((1,))
    whole = train_task(train, 2, tmp_path / "whole", settings, SMALL)
    with pytest.raises(KeyboardInterrupt):
        train_task(train, 2, tmp_path / "broken", settings, SMALL, report=killed_at(10))
    resumed = train_task(train, 2, tmp_path / "broken", settings, SMALL)
    assert torch.equal(whole.adapter.up, resumed.adapter.up)
    assert torch.equal(whole.head.weight, resumed.head.weight)


CHANGES: dict[str, Callable[[Path, Examples], object]] = {
    "seed": lambda folder, train: train_task(train, 2, folder, replace(SETTINGS, depth=1, seed=1), SMALL),
    "adapter": lambda folder, train: train_task(train, 2, folder, replace(SETTINGS, depth=1), AdapterConfig()),
    "classes": lambda folder, train: train_task(train, 3, folder, replace(SETTINGS, depth=1), SMALL),
    "labels": lambda folder, train: train_task(
        Examples(train.states, 1 - train.labels), 2, folder, replace(SETTINGS, depth=1), SMALL
    ),
    "states": lambda folder, train: train_task(examples((1,), 32), 2, folder, replace(SETTINGS, depth=1), SMALL),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_with_another_training_is_refused(tmp_path: Path, change: str) -> None:
    train = examples((1,), 16)
    train_task(train, 2, tmp_path, replace(SETTINGS, depth=1), SMALL)
    with pytest.raises(ConfigurationError, match=rf"another .*{change}.*: name another folder"):
        CHANGES[change](tmp_path, train)


@pytest.mark.parametrize(("fusion_depth", "depths", "acts_from"), [(0, (1, 2), 1), (3, (0, 2), 3), (0, (0, 0), 0)])
def test_a_fusion_is_learned_and_its_adapters_are_not(tmp_path, fusion_depth, depths, acts_from) -> None:
    settings = replace(SETTINGS, depth=fusion_depth)
    adapters = {}
    for name, depth in zip("ab", depths, strict=True):
        torch.manual_seed(depth)
        adapters[name] = Adapter(replace(SMALL, depth=depth), WIDTH, LAYERS)
        torch.nn.init.normal_(adapters[name].up, std=0.5)
    before = {name: weights_fingerprint(adapter) for name, adapter in adapters.items()}
    train, held_out = examples((acts_from,)), examples((acts_from,), 64, seed=1)
    done = train_fusion(train, 2, adapters, tmp_path, settings, held_out)
    assert {name: weights_fingerprint(adapter) for name, adapter in adapters.items()} == before
    assert all(p.requires_grad and p.grad is None for adapter in adapters.values() for p in adapter.parameters())
    assert done.fusion.names == ("a", "b")
    assert done.report.accuracy is not None
    assert done.report.accuracy > 85
    changed = (done.fusion.value - torch.eye(WIDTH)).flatten(1).abs().sum(dim=1) > 0
    assert changed.tolist() == [layer >= acts_from for layer in range(LAYERS)]
    source = TrainableAdapters(adapters, [done.fusion])
    assert accuracy(held_out, source, Drop(Fuse("a", "b"), fusion_depth), done.head) == done.report.accuracy
    assert list(next(iter(read_log(tmp_path / "fusion.jsonl")))) == ["step", "seconds", "loss", "identity"]
    assert "adapters" in json.loads((tmp_path / "fusion.json").read_text())


@pytest.mark.parametrize("depth", [-1, LAYERS])
def test_a_depth_that_is_no_layer_is_refused(tmp_path: Path, depth: int) -> None:
    with pytest.raises(ConfigurationError, match="0 to 3"):
        train_task(examples((0,), 4), 2, tmp_path, replace(SETTINGS, depth=depth))


@pytest.mark.parametrize("config", [AdapterConfig(modality="text"), AdapterConfig(invertible=True)])
def test_an_adapter_that_kept_states_cannot_serve_is_refused(tmp_path: Path, config: AdapterConfig) -> None:
    with pytest.raises(ConfigurationError, match="of all tokens and without an invertible part"):
        train_task(examples((0,), 4), 2, tmp_path, config=config)


def test_a_regression_is_learned(tmp_path: Path) -> None:
    def numbered(count: int, seed: int) -> Examples:
        inputs = TinyInputs.make(count, seed)
        return Examples(keep_states(inputs), (inputs.ids[:, 0] - 6) / 3)

    train, held_out = numbered(128, 0), numbered(64, 1)
    done = train_task(train, 1, tmp_path, SETTINGS, SMALL)
    source = TrainableAdapters({"task": done.adapter})
    error = predict(held_out.states, source, "task", done.head).squeeze(1) - held_out.labels
    assert error.square().mean() < held_out.labels.var() / 4
    with pytest.raises(ConfigurationError, match="expected classes as labels"):
        accuracy(held_out, source, "task", done.head)
    with pytest.raises(ConfigurationError, match="expected 1 class for float labels, got 2"):
        train_task(train, 2, tmp_path / "two", SETTINGS, SMALL)


def test_settings_and_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="1 or more epochs"):
        TaskSettings(epochs=0)
    with pytest.raises(ConfigurationError, match="a label for each of 4 examples, got 3"):
        Examples(examples((0,), 4).states, torch.zeros(3, dtype=torch.long))


@pytest.mark.parametrize("examples", [5, 32, 16 * SORTED_BATCHES * 2 + 7])
def test_batches_of_similar_lengths_hold_each_example_once_an_epoch(examples: int) -> None:
    lengths = torch.randint(3, 60, (examples,), generator=torch.Generator().manual_seed(0))
    rows_of = ShuffledByLength(lengths, 16, seed=0)
    steps = -(-examples // 16)
    epochs = [[rows_of(epoch * steps + step) for step in range(steps)] for epoch in range(2)]
    for batches in epochs:
        assert torch.cat(batches).sort().values.tolist() == list(range(examples))
        assert all(len(rows) == 16 for rows in batches[:-1])
    assert (torch.cat(epochs[0]).tolist() != torch.cat(epochs[1]).tolist()) == (examples > 16)


def test_batches_of_similar_lengths_have_little_padding_and_no_order_of_lengths() -> None:
    lengths = torch.randint(3, 60, (1600,), generator=torch.Generator().manual_seed(0))
    rows_of = ShuffledByLength(lengths, 16, seed=0)
    longest = torch.stack([lengths[rows_of(step)].max() for step in range(100)])
    assert 16 * int(longest.sum()) < 1.15 * int(lengths.sum())
    assert longest.tolist() != longest.sort().values.tolist()


def test_predictions_stand_in_the_order_of_the_examples(tmp_path: Path) -> None:
    held_out = examples((0,), 40, seed=1)
    done = train_task(examples((0,)), 2, tmp_path, replace(SETTINGS, epochs=1), SMALL)
    source = TrainableAdapters({"task": done.adapter})
    alone = [
        predict(Examples(keep_states(one, (0,)), one.labels).states, source, "task", done.head)[0]
        for one in (_one(TinyInputs.make(40, 1), row) for row in range(40))
    ]
    torch.testing.assert_close(predict(held_out.states, source, "task", done.head), torch.stack(alone))


def _one(inputs: TinyInputs, row: int) -> TinyInputs:
    return inputs.but(ids=inputs.ids[row : row + 1], mask=inputs.mask[row : row + 1])
