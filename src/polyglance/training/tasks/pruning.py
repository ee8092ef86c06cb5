"""Measures how much weight a fusion gives to each adapter on a data set, and prunes adapters with little weight.

Adapters are pruned by their mean weight, as in arXiv:2010.11918, section 4.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from polyglance.adapters.bank import AdapterBank
from polyglance.adapters.composition import Drop, Fuse, Fusion
from polyglance.adapters.config import AdapterConfig, Place
from polyglance.adapters.modules import AdditiveCoupling
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.source import AdapterShape
from polyglance.errors import ConfigurationError
from polyglance.kernels.grouped import Bottlenecks
from polyglance.training.state_cache import KeptStates
from polyglance.training.tasks.trainer import TEST_BATCH, first_layer


class Observed:
    """An `AdapterSource` that records the weights which a bank's fusion gives to its adapters.

    bank: the source. names: of the fusion.
    """

    def __init__(self, bank: AdapterBank, names: Sequence[str]) -> None:
        self.bank, self.names, self.width, self.layers = bank, tuple(names), bank.width, bank.layers
        self._sums = torch.zeros(bank.layers, len(self.names), dtype=torch.float64)
        self._tokens = torch.zeros(bank.layers, 1, dtype=torch.float64)

    @property
    def mean(self) -> Float[Tensor, "layers adapters"]:
        """The mean weight over all tokens and places that the fusion acted on; 0 if an adapter did not act."""
        """The mean weight over all tokens and places that the fusion acted on; 0 if an adapter did not act."""
        return (self._sums / self._tokens.clamp_min(1)).float()

    def config(self, name: str) -> AdapterConfig:
        return self.bank.config(name)

    def slots(self, names: Sequence[str]) -> dict[str, int]:
        return self.bank.slots(names)

    def bottlenecks(self, shape: AdapterShape, layer: int, place: Place) -> Bottlenecks:
        return self.bank.bottlenecks(shape, layer, place)

    def coupling(self, name: str) -> AdditiveCoupling:
        return self.bank.coupling(name)

    def fuse(
        self,
        fusion: Fusion,
        layer: int,
        place: Place,
        x: Float[Tensor, "tokens width"],
        onto: Float[Tensor, "tokens width"],
    ) -> Float[Tensor, "tokens width"]:
        folded = self.bank.folded(fusion, layer, place)
        if folded is not None and fusion.names == self.names:
            acting = [self.names.index(name) for name in folded.names]
            self._sums[layer, acting] += folded.weights(x).sum(dim=0, dtype=torch.float64).cpu()
            self._tokens[layer] += len(x)
        return self.bank.fuse(fusion, layer, place, x, onto)


def fusion_use(
    states: KeptStates, bank: AdapterBank, names: Sequence[str], depth: int = 0, examples: int | None = None
) -> Float[Tensor, "layers adapters"]:
    """Returns the mean weight of each adapter of a fusion in each layer; 0 if it does not act.

    In the last layer only the first token counts, since no other is read.

    states: of the examples. bank: in the encoder's dtype. names: of the fusion. depth: the fusion's drop depth.
    examples: the number of examples to run, from the first on; None runs all.
    """
    observed = Observed(bank, names)
    composition = Drop(Fuse(*names), depth)
    start = first_layer(bank, composition)
    with torch.no_grad():
        for rows in torch.arange(len(states))[:examples].split(TEST_BATCH):
            x, mask = states.before(start, rows)
            states.encoder.first(x, mask, Adaptation(observed, [composition] * len(rows)), start)
    return observed.mean


@dataclass(frozen=True)
class Keep:
    """A rule for the adapters to keep; either `count` or `threshold` must be given.

    count: the number of adapters to keep. threshold: the least mean weight, from 0 to 1; the adapter with the most
    weight is always kept. everywhere: whether to keep the same adapters in all layers, by the mean over the layers
    where the fusion acts; otherwise each layer keeps its own.

    Raises ConfigurationError unless exactly one of the two is given, within its range.
    """

    count: int | None = None
    threshold: float | None = None
    everywhere: bool = False

    def __post_init__(self) -> None:
        if (self.count is None) == (self.threshold is None):
            raise ConfigurationError("expected a number of adapters to keep or a threshold, one of the two")
        if self.count is not None and self.count < 1:
            raise ConfigurationError(f"expected one or more adapters to keep, got {self.count}")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ConfigurationError(f"expected a threshold from 0 to 1, got {self.threshold}")


def most_used(names: Sequence[str], use: Float[Tensor, "layers adapters"], keep: Keep) -> tuple[tuple[str, ...], ...]:
    """Returns the adapters to keep in each layer, for `FusionWeights.keep`; a layer where none acts keeps all.

    names: of the fusion. use: the mean weights. keep: the rule.

    Raises ConfigurationError if the rule keeps more adapters than there are.
    """
    if keep.count is not None and keep.count > len(names):
        raise ConfigurationError(f"expected 1 to {len(names)} adapters to keep, as many as are fused, got {keep.count}")
    acts = use.sum(dim=1) > 0
    if keep.everywhere:
        return (_most_used(names, use[acts].mean(dim=0), keep),) * len(use)
    return tuple(
        _most_used(names, row, keep) if acting else tuple(names) for row, acting in zip(use, acts.tolist(), strict=True)
    )


def _most_used(names: Sequence[str], use: Float[Tensor, " adapters"], keep: Keep) -> tuple[str, ...]:
    order: list[int] = use.argsort(descending=True, stable=True).tolist()
    kept = order[: keep.count] if keep.threshold is None else [i for i in order if use[i] >= keep.threshold]
    staying = {i for i in kept if use[i] > 0} or {order[0]}
    return tuple(name for i, name in enumerate(names) if i in staying)


def plot_use(names: Sequence[str], use: Sequence[Sequence[float]], path: Path) -> None:
    """Draws the mean weights as an image with one row per layer and one column per adapter.

    Raises ConfigurationError if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError("drawing the weights needs matplotlib: pip install 'polyglance[plots]'") from error
    layers, adapters = len(use), len(names)
    figure = Figure(figsize=(2.5 + 0.8 * adapters, 1.5 + 0.4 * layers), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(use, cmap="viridis", vmin=0, aspect="auto", origin="lower")
    axes.set(xlabel="adapter", ylabel="layer", yticks=range(layers))
    axes.set_xticks(range(adapters), names, rotation=30, ha="right")
    light = max(map(max, use)) / 2
    for layer, row in enumerate(use):
        for adapter, weight in enumerate(row):
            axes.text(adapter, layer, f"{weight:.2f}", ha="center", va="center", color="w" if weight < light else "k")
    figure.colorbar(image, label="mean fusion weight")
    figure.savefig(path, dpi=120)
