"""Trains an adapter with a head, or a fusion of adapters with a head, in a frozen encoder.

Both read the first token of the last layer and start from kept states at the first layer where an adapter acts.
"""

import statistics
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from polyglance.adapters.composition import Composition, Drop, Fuse, leaves, paths
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.source import AdapterSource
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.errors import ConfigurationError
from polyglance.kernels.processor import native_autocast
from polyglance.nn.encoder import Encoder
from polyglance.training.loop import Losses, Schedule, fit, read_log
from polyglance.training.seeds import check_seed, generator_of
from polyglance.training.starting_point import check_beginning
from polyglance.training.state_cache import KeptStates, hash_of
from polyglance.types import StageProgress

TASK: Final = "task"
"""The adapter's name during training."""
IDENTITY_WEIGHT: Final = 0.01
"""The weight of a fusion's distance from the identity, as in the authors' code of AdapterFusion (arXiv:2005.00247)."""
TEST_BATCH: Final = 256
SORTED_BATCHES: Final = 16


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples of a task.

    states: kept states. labels: the class of each example, from 0; or, for a regression, a float to predict.

    Raises ConfigurationError unless there is one label per example.
    """

    states: KeptStates
    labels: Int[Tensor, " examples"] | Float[Tensor, " examples"]

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.states):
            raise ConfigurationError(
                f"expected a label for each of {len(self.states)} examples, got {len(self.labels)}"
            )

    @property
    def regression(self) -> bool:
        return self.labels.is_floating_point()


@dataclass(frozen=True)
class TaskSettings:
    """The settings of training a task or a fusion of tasks.

    depth: the drop depth, below which layers have no adapter (specialised AdapterDrop, arXiv:2010.11918; 0 drops none);
    None draws a depth at each step (robust AdapterDrop). epochs: over the examples. batch: examples per step.
    learning_rate: reached after a linear warm-up over a tenth of the steps, then decayed along a cosine. seed: of all
    draws.

    Raises ConfigurationError for values out of range.
    """

    depth: int | None = 0
    epochs: int = 10
    batch: int = 32
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.epochs < 1 or self.batch < 1:
            raise ConfigurationError(
                f"expected 1 or more epochs and examples a step, got {self.epochs} and {self.batch}"
            )

    def depths(self, layers: int, lowest: int = 0) -> tuple[int, ...]:
        """Returns the depths to train for, before which states should be kept.

        layers: their number. lowest: the first layer with adapters.

        Raises ConfigurationError if the depth is not a layer.
        """
        if self.depth is None:
            return tuple(range(lowest, layers))
        if not 0 <= self.depth < layers:
            raise ConfigurationError(f"expected a depth of 0 to {layers - 1} in {layers} layers, got {self.depth}")
        return (max(self.depth, lowest),)


@dataclass(frozen=True)
class TrainingReport:
    """The result of a training.

    losses: the mean of each epoch. accuracy: percent of the held-out examples; None if there are none. layers_spared:
    the number of layers that no epoch ran because their states were kept (the mean, for robust training). kept_bytes:
    the size of these states. keep_seconds: the time to compute them once. epoch_seconds: the time of an epoch with kept
    states; without them, it would take keep_seconds more.
    """

    losses: tuple[float, ...]
    accuracy: float | None
    layers_spared: float
    kept_bytes: int
    keep_seconds: float
    epoch_seconds: float


@dataclass(frozen=True, eq=False)
class TrainedAdapter:
    """A trained adapter with its head.

    head: maps the first token of the last layer to the logits of the labels.
    """

    adapter: Adapter
    head: nn.Linear
    report: TrainingReport


@dataclass(frozen=True, eq=False)
class TrainedFusion:
    """A trained fusion with its head, as in `TrainedAdapter`."""

    fusion: FusionWeights
    head: nn.Linear
    report: TrainingReport


def train_task(
    examples: Examples,
    classes: int,
    folder: Path,
    settings: TaskSettings | None = None,
    config: AdapterConfig | None = None,
    held_out: Examples | None = None,
    report: StageProgress | None = None,
) -> TrainedAdapter:
    """Trains an adapter and a head; the encoder's weights do not change, and it is left frozen.

    The loss is the cross-entropy; for float labels it is the mean squared error, so they should be standardised.

    examples: to train on. classes: the number of labels; 1 for float labels. folder: for the log `task.jsonl` and the
    checkpoint that a killed run resumes from. settings: of the training; defaults to `TaskSettings()`. config: of the
    adapter; its depth is taken from the settings. held_out: examples for the report's accuracy. report: called with the
    progress.

    Raises ConfigurationError if the folder holds another run, no states were kept at or below a depth, float labels
    come with several classes, or the adapter has a modality or an invertible part, which kept states do not support.
    """
    settings = settings or TaskSettings()
    encoder = examples.states.encoder
    width, layers = examples.states.width, len(encoder.layers)
    settings.depths(layers)
    config = replace(config or AdapterConfig(), depth=settings.depth or 0)
    if config.modality or config.invertible:
        raise ConfigurationError("expected an adapter of all tokens and without an invertible part to train as a task")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        adapter, head = Adapter(config, width, layers), _head(width, classes, encoder)
    run = _Run(examples, TrainableAdapters({TASK: adapter}).to(_device(encoder)), TASK, head, settings)
    trained = nn.ModuleDict({"adapter": adapter, "head": head})
    figures = run.train("task", trained, folder, report, {"adapter": config.to_dict(), "classes": classes})
    return TrainedAdapter(adapter, head, run.report(figures, held_out))


def train_fusion(
    examples: Examples,
    classes: int,
    adapters: Mapping[str, Adapter],
    folder: Path,
    settings: TaskSettings | None = None,
    held_out: Examples | None = None,
    report: StageProgress | None = None,
) -> TrainedFusion:
    """Trains a fusion of adapters (AdapterFusion, arXiv:2005.00247) and a head; the adapters do not change.

    The loss is that of the task plus 0.01 times the fusion's distance from the identity; there is no weight decay.

    adapters: by name. settings: the depth is the fusion's; it acts only in layers where an adapter has weights. The
    other arguments and errors are those of `train_task`, with the log `fusion.jsonl`.
    """
    settings = settings or TaskSettings()
    encoder = examples.states.encoder
    width, layers = examples.states.width, len(encoder.layers)
    frozen = {name: deepcopy(adapter).requires_grad_(False) for name, adapter in adapters.items()}
    places = len(next(iter(frozen.values())).config.places)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        fusion, head = FusionWeights(tuple(frozen), places, width, layers), _head(width, classes, encoder)
    source = TrainableAdapters(frozen, [fusion]).to(_device(encoder))
    run = _Run(examples, source, Fuse(*frozen), head, settings)
    trained = nn.ModuleDict({"fusion": fusion, "head": head})
    beginning = {name: hash_of(adapter.state_dict()).hex()[:16] for name, adapter in frozen.items()}
    figures = run.train(
        "fusion",
        trained,
        folder,
        report,
        {"adapters": beginning, "classes": classes},
        lambda: {"identity": IDENTITY_WEIGHT * fusion.distance_from_identity()},
        weight_decay=0,
    )
    return TrainedFusion(fusion, head, run.report(figures, held_out))


def predict(
    states: KeptStates, source: AdapterSource, composition: Composition, head: nn.Linear
) -> Float[Tensor, "examples classes"]:
    """Returns the logits of all examples, in float32 on the CPU. composition: must give one result per row."""
    start = first_layer(source, composition)
    by_length = states.lengths.argsort()
    with torch.no_grad():
        found = [_logits(states, source, composition, head, start, rows).cpu() for rows in by_length.split(TEST_BATCH)]
    return torch.cat(found)[by_length.argsort()]


def accuracy(examples: Examples, source: AdapterSource, composition: Composition, head: nn.Linear) -> float:
    """Returns the percentage of examples with a correctly predicted label.

    Raises ConfigurationError if the labels are floats, which have no accuracy.
    """
    if examples.regression:
        raise ConfigurationError("expected classes as labels for an accuracy, got floats")
    right = predict(examples.states, source, composition, head).argmax(dim=-1) == examples.labels
    return 100 * right.float().mean().item()


@dataclass(frozen=True, eq=False)
class _Run:
    """A training of adapters. composition: of every row; the layers below a step's depth are dropped."""

    examples: Examples
    source: TrainableAdapters
    composition: Composition
    head: nn.Linear
    settings: TaskSettings

    @property
    def steps_an_epoch(self) -> int:
        return -(-len(self.examples.states) // self.settings.batch)

    def train(
        self,
        stage: str,
        trained: nn.Module,
        folder: Path,
        report: StageProgress | None,
        beginning: Mapping[str, object],
        more: Callable[[], Losses] = dict,
        weight_decay: float = Schedule.weight_decay,
    ) -> list[dict[str, float]]:
        """Trains and returns the rows of the log. more: returns additional losses."""
        steps = self.settings.epochs * self.steps_an_epoch
        states, labels = self.examples.states, self.examples.labels
        if self.examples.regression and self.head.out_features != 1:
            raise ConfigurationError(f"expected 1 class for float labels, got {self.head.out_features}")
        states.encoder.requires_grad_(False).eval()
        examples = {"states": states.key, "labels": hash_of({"labels": labels}).hex()[:16]}
        check_beginning(folder / f"{stage}.json", {**asdict(self.settings), **examples, **beginning})
        depths = self.depths
        rows_of = ShuffledByLength(states.lengths, self.settings.batch, self.settings.seed)

        def losses(step: int) -> Losses:
            rows = rows_of(step)
            generator = generator_of(self.settings.seed, step)
            depth = depths[int(torch.randint(len(depths), (), generator=generator))]
            composition = Drop(self.composition, depth)
            logits = _logits(states, self.source, composition, self.head, depth, rows)
            return {"loss": task_loss(logits, labels[rows].to(logits.device)), **more()}

        schedule = Schedule(steps, self.settings.learning_rate, max(1, steps // 10), weight_decay)
        fit(stage, trained, losses, schedule, folder, report)
        return list(read_log(folder / f"{stage}.jsonl"))

    @property
    def depths(self) -> tuple[int, ...]:
        return self.settings.depths(self.source.layers, first_layer(self.source, self.composition))

    def report(self, rows: list[dict[str, float]], held_out: Examples | None) -> TrainingReport:
        """Makes the report. held_out: predicted at the lowest of the depths."""
        losses = [row["loss"] for row in rows]
        epochs = [losses[i : i + self.steps_an_epoch] for i in range(0, len(losses), self.steps_an_epoch)]
        kept = self.examples.states.depths
        composition = Drop(self.composition, self.depths[0])
        return TrainingReport(
            losses=tuple(map(statistics.fmean, epochs)),
            accuracy=None if held_out is None else accuracy(held_out, self.source, composition, self.head),
            layers_spared=statistics.fmean(max(d for d in kept if d <= depth) for depth in self.depths),
            kept_bytes=self.examples.states.nbytes,
            keep_seconds=self.examples.states.seconds,
            epoch_seconds=statistics.median(row["seconds"] for row in rows) * self.steps_an_epoch,
        )


def task_loss(
    logits: Float[Tensor, "rows classes"], labels: Int[Tensor, " rows"] | Float[Tensor, " rows"]
) -> Float[Tensor, ""]:
    """Returns the cross-entropy of classes, or the mean squared error of float labels."""
    if labels.is_floating_point():
        return F.mse_loss(logits.squeeze(1), labels)
    return F.cross_entropy(logits, labels)


class Shuffled:
    """Returns the examples of each step, in a new order every epoch. group_of: the group of each example; groups stay
    together."""

    def __init__(self, examples: int, batch: int, seed: int, group_of: Int[Tensor, " examples"] | None = None) -> None:
        self.examples, self.batch, self.seed, self.group_of = examples, batch, seed, group_of
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def __call__(self, step: int) -> Int[Tensor, " rows"]:
        epoch, number = divmod(step, -(-self.examples // self.batch))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._drawn(generator_of(self.seed, epoch))
        return self._order[number * self.batch : (number + 1) * self.batch]

    def _drawn(self, generator: torch.Generator) -> Int[Tensor, " examples"]:
        if self.group_of is None:
            return torch.randperm(self.examples, generator=generator)
        place = torch.randperm(int(self.group_of.max()) + 1, generator=generator)
        return place[self.group_of].argsort(stable=True)


class ShuffledByLength(Shuffled):
    """Returns the examples of each step as `Shuffled` does; those of a batch have similar lengths, so that attention
    sees little padding. Examples are sorted among `SORTED_BATCHES` batches that were drawn, and the batches shuffled
    again."""

    def __init__(self, lengths: Int[Tensor, " examples"], batch: int, seed: int) -> None:
        super().__init__(len(lengths), batch, seed)
        self.lengths = lengths

    def _drawn(self, generator: torch.Generator) -> Int[Tensor, " examples"]:
        drawn = super()._drawn(generator).split(SORTED_BATCHES * self.batch)
        batches = [batch for some in drawn for batch in some[self.lengths[some].argsort()].split(self.batch)]
        last = [] if len(batches[-1]) == self.batch else [batches.pop()]  # a step's place is a multiple of the batch
        places = torch.randperm(len(batches), generator=generator).tolist()
        return torch.cat([*(batches[place] for place in places), *last])


def _logits(
    states: KeptStates,
    source: AdapterSource,
    composition: Composition,
    head: nn.Linear,
    start: int,
    rows: Int[Tensor, " rows"],
) -> Float[Tensor, "rows classes"]:
    """Runs the layers from `start` on, in bfloat16 if the device multiplies it faster; the head is in float32."""
    x, mask = states.before(start, rows)
    with native_autocast(x.device):
        first, _ = states.encoder.first(x, mask, Adaptation(source, [composition] * len(rows)), start)
    return F.linear(first.float(), head.weight, head.bias)


def first_layer(source: AdapterSource, composition: Composition) -> int:
    """Returns the lowest layer in which an adapter acts, or the last layer if none does."""
    acting = [leaf for path in paths(composition) for leaf in leaves(path)]
    return min((max(leaf.depth, source.config(leaf.name).depth) for leaf in acting), default=source.layers - 1)


def _head(width: int, classes: int, encoder: Encoder) -> nn.Linear:
    head = nn.Linear(width, classes)
    nn.init.trunc_normal_(head.weight, std=0.02)
    nn.init.zeros_(head.bias)
    return head.to(_device(encoder))


def _device(encoder: Encoder) -> torch.device:
    return next(encoder.parameters()).device
