"""Tasks that users train in the upper layers of a joint model: their files, and running several of them at once.

A task is a folder:

    task.json           format, name, kind, model, fingerprint, labels, depth, scores
    head.safetensors    weight (labels, width), bias (labels,)
    adapter.*           of kind `adapter`: its adapter
    fusion.* adapters/  of kind `fusion`: a fusion, and each adapter that it mixes in a folder of its own
    folded.*            of kind `folded`: a fusion folded, pruned or not
    depths.json         of a robust adapter: what each depth costs and is worth
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional as F

from polyglance.adapters.bank import AdapterBank
from polyglance.adapters.checkpoint import (
    SavedKind,
    load_adapter,
    load_folded,
    load_fusion,
    require_finite,
    save_adapter,
    save_folded,
    save_fusion,
    unfilled,
)
from polyglance.adapters.composition import Composition, Drop, Fuse, Parallel
from polyglance.adapters.drop_depths import DepthTable
from polyglance.adapters.folded import FoldedWeights
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.adapters.routing import Adaptation
from polyglance.atomic import whole_files
from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.nn.states import TokenStates
from polyglance.one_save import require_one_save, save_weights

FORMAT: Final = 1
TOKEN: Final = "answer"
"""The token of the model that users' tasks put in front of the input, and at which they read their result."""


@dataclass(frozen=True, eq=False)
class FusedAdapters:
    """A fusion with the adapters that it mixes. Unlike folded weights, it can still be pruned."""

    fusion: FusionWeights
    adapters: Mapping[str, Adapter]


TaskWeights = Adapter | FusedAdapters | FoldedWeights


@dataclass(frozen=True, eq=False)
class TrainedTask:
    """A trained task.

    name: the name of the task. labels: the labels of the head, in order. depth: the number of the lowest joint layers
    without an adapter; None for a task that was trained for any depth and acts in all layers. weights: the adapter, the
    fusion or the folded fusion. head: maps a state to the logits of the labels. model: the name or folder that loads
    the model that the task was trained in. fingerprint: the fingerprint of that model. scores: the scores by split.
    """

    name: str
    labels: tuple[str, ...]
    depth: int | None
    weights: TaskWeights
    head: nn.Linear
    model: str
    fingerprint: str
    scores: Mapping[str, Any]


def save_task(task: TrainedTask, folder: Path) -> None:
    """Writes the files of a task, each of them completely or not at all. Weights are stored as float32.

    Raises:
        CheckpointError: a weight is not finite.
    """
    with whole_files(folder) as draft:
        _write_task(task, draft)


def _write_task(task: TrainedTask, folder: Path) -> None:
    kind: Literal["adapter", "fusion", "folded"]
    match task.weights:
        case Adapter():
            kind = "adapter"
            save_adapter(task.weights, folder, task.name)
        case FusedAdapters(fusion, adapters):
            kind = "fusion"
            save_fusion(fusion, folder)
            for number, name in enumerate(fusion.names):
                save_adapter(adapters[name], folder / "adapters" / str(number), name)
        case FoldedWeights():
            kind = "folded"
            save_folded(task.weights, folder)
    head = {name: value.detach().to("cpu", torch.float32) for name, value in task.head.state_dict().items()}
    require_finite(folder / "head.safetensors", head)
    description = {
        "format": FORMAT,
        "name": task.name,
        "kind": kind,
        "model": task.model,
        "fingerprint": task.fingerprint,
        "labels": task.labels,
        "depth": "robust" if task.depth is None else task.depth,
        "scores": task.scores,
    }
    (folder / "task.json").write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    save_weights(head, folder / "head.safetensors")


def load_task(
    folder: Path, drop_depth: int | Literal["auto"] | None = None, budget_ms: float | None = None
) -> TrainedTask:
    """Loads a task that `save_task` wrote.

    folder: the folder of the task. drop_depth: the number of the lowest joint layers that run without the task's
    adapters. None means the depth of its training. `auto` means the best depth in `depths.json` that takes at most
    `budget_ms`, or the best one of all without a budget. budget_ms: a time in milliseconds; requires `auto`.

    Raises:
        CheckpointError: files are missing, torn, or do not fit each other.
        ConfigurationError: the task does not have this depth, no depth fits the budget, or there is a budget without
            `auto`.
    """
    # Searches import this module, and few of them load a task
    from polyglance.data.forms import described
    from polyglance.models.descriptions import TaskDescription

    if budget_ms is not None and drop_depth != "auto":
        raise ConfigurationError(f"expected the drop depth auto for a budget to choose by, got {drop_depth}")
    path = folder / "task.json"
    try:
        task = described(TaskDescription, path.read_text(encoding="utf-8"), FORMAT)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(f"{folder} holds no task: expected a file task.json in it") from error
    except ValueError as error:
        raise CheckpointError(f"{path} does not describe a task: {error}") from error
    weights = _load_weights(folder, task.kind)
    width = weights.fusion.width if isinstance(weights, FusedAdapters) else weights.width
    layers = weights.fusion.layers if isinstance(weights, FusedAdapters) else weights.layers
    trained = None if task.depth == "robust" else task.depth
    if trained is not None and trained >= layers:
        raise CheckpointError(f"{path} does not describe a task: expected a depth of 0 to {layers - 1}, got {trained}")
    if drop_depth == "auto":
        drop_depth = DepthTable.load(folder).depth(math.inf if budget_ms is None else budget_ms)
    lowest = trained or 0
    if drop_depth is not None and not lowest <= drop_depth < layers:
        raise ConfigurationError(
            f"expected a drop depth of {lowest} to {layers - 1} for the task {folder}, got {drop_depth}"
        )
    head = _load_head(folder / "head.safetensors", width, len(task.labels))
    acting = trained if drop_depth is None else drop_depth
    return TrainedTask(task.name, tuple(task.labels), acting, weights, head, task.model, task.fingerprint, task.scores)


def _load_weights(folder: Path, kind: SavedKind) -> TaskWeights:
    match kind:
        case "adapter":
            return load_adapter(folder).adapter
        case "folded":
            return load_folded(folder)
        case "fusion":
            fusion = load_fusion(folder).fusion
            numbers = range(len(fusion.names))
            found = [load_adapter(folder / "adapters" / str(n), fusion.width, fusion.layers) for n in numbers]
            if tuple(one.name for one in found) != fusion.names:
                raise CheckpointError(
                    f"{folder / 'adapters'}: expected the adapters {', '.join(fusion.names)}, "
                    f"got {', '.join(one.name for one in found)}"
                )
            return FusedAdapters(fusion, {one.name: one.adapter for one in found})


def _load_head(path: Path, width: int, labels: int) -> nn.Linear:
    try:
        weights = load(path.read_bytes())
        with unfilled():
            head = nn.Linear(width, labels)
        head.load_state_dict(weights, assign=True)
        require_one_save(path)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} cannot be used: {reason}; copy the task's folder again") from error
    require_finite(path, weights)
    return head


def folded(weights: FusedAdapters | FoldedWeights) -> FoldedWeights:
    """Returns the folded form of a fusion."""
    return weights if isinstance(weights, FoldedWeights) else FoldedWeights.of(weights.fusion, weights.adapters)


class TaskModel:
    """A joint model with several trained tasks that answer a question at once.

    The layers below the first one with an adapter run once for all tasks (arXiv:2010.11918, section 3).

    Raises:
        ConfigurationError: there are no tasks, or two tasks have the same name.
        CheckpointError: a task was trained in another model.
    """

    def __init__(self, model: SingleStreamModel, tasks: Sequence[TrainedTask]) -> None:
        self.model, self.tasks = model, tuple(tasks)
        names = [task.name for task in tasks]
        if not names or len(set(names)) < len(names):
            raise ConfigurationError(
                f"expected one task or more, each of its own name, got {', '.join(names) or 'none'}"
            )
        for task in tasks:
            require_model(task, model)
        encoder = model.joint_layers
        weight = next(encoder.parameters())
        self._bank = AdapterBank(
            model.config.width, len(encoder.layers), max(64, len(names)), weight.dtype, weight.device
        )
        self._composition = Parallel(*map(self._added, tasks))

    @torch.no_grad()
    def answer(self, text: TokenStates, images: TokenStates) -> list[Float[Tensor, "pairs labels"]]:
        """Returns the logits of question i about picture i over the labels of each task."""
        x, mask = self.model.join(TOKEN, text, images)
        adaptation = Adaptation(self._bank, [self._composition] * len(x))
        first, _ = self.model.joint_layers.first(x, mask, adaptation)
        results = first.float().unflatten(0, (len(x), len(self.tasks))).unbind(1)
        return [
            F.linear(result, task.head.weight.to(result.device), task.head.bias.to(result.device))
            for result, task in zip(results, self.tasks, strict=True)
        ]

    def _added(self, task: TrainedTask) -> Composition:
        """Adds a task's weights. Adapters of a fusion get the task's name as a prefix: two fusions may share names."""
        if isinstance(task.weights, Adapter):
            self._bank.add(task.name, task.weights)
            return Drop(task.name, task.depth or 0)
        fusion = _renamed(folded(task.weights), f"{task.name}/")
        self._bank.add_folded(fusion)
        return Drop(Fuse(*fusion.names), task.depth or 0)


def require_model(task: TrainedTask, model: SingleStreamModel) -> None:
    """Raises CheckpointError if a task was trained in another model."""
    if task.fingerprint != model.fingerprint:
        raise CheckpointError(
            f"the task {task.name!r} was trained in {task.model} ({task.fingerprint}), this model is {model.name} "
            f"({model.fingerprint}): take that model, or train the task in this one"
        )


def _renamed(fusion: FoldedWeights, prefix: str) -> FoldedWeights:
    kept = [[prefix + name for name in there] for there in fusion.kept]
    with unfilled():
        renamed = FoldedWeights(
            {prefix + name: config for name, config in fusion.configs.items()}, kept, fusion.width, fusion.layers
        )
    renamed.load_state_dict(fusion.state_dict(), assign=True)
    return renamed
