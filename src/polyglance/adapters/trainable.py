"""Adapters and fusions in training: an `AdapterSource` with gradients."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyglance.adapters.composition import Fusion
from polyglance.adapters.config import PLACES, AdapterConfig, Place
from polyglance.adapters.fusion import FusionWeights, check_fusion
from polyglance.adapters.modules import Adapter, AdditiveCoupling, stacked
from polyglance.adapters.source import AdapterShape, unknown_adapter, unknown_fusion
from polyglance.errors import ConfigurationError
from polyglance.kernels.grouped import Bottlenecks, bottleneck_onto


class TrainableAdapters(nn.Module):
    """A few adapters of one body, and fusions of them, as parameters.

    adapters: by the name that compositions use. fusions: of these adapters; none by default.

    Raises ConfigurationError if the adapters are for different bodies, or a fusion does not fit them.
    """

    def __init__(self, adapters: Mapping[str, Adapter], fusions: Sequence[FusionWeights] = ()) -> None:
        super().__init__()
        bodies = {(adapter.width, adapter.layers) for adapter in adapters.values()}
        if len(bodies) != 1:
            raise ConfigurationError(f"expected adapters of one body, got (width, layers) of {sorted(bodies)}")
        ((self.width, self.layers),) = bodies
        self.adapters = dict(adapters)
        self.fusions = {fusion.names: fusion for fusion in fusions}
        for fusion in fusions:
            check_fusion(fusion, [self.config(name) for name in fusion.names], self.width, self.layers)
        self.parts = nn.ModuleList([*adapters.values(), *fusions])

    def config(self, name: str) -> AdapterConfig:
        return self._adapter(name).config

    def slots(self, names: Sequence[str]) -> dict[str, int]:
        order: dict[AdapterShape, list[str]] = {}
        for name in self.adapters:
            order.setdefault(AdapterShape.of(self.config(name), self.width), []).append(name)
        return {name: order[AdapterShape.of(self.config(name), self.width)].index(name) for name in names}

    def bottlenecks(self, shape: AdapterShape, layer: int, place: Place) -> Bottlenecks:
        of_kind = [a for a in self.adapters.values() if AdapterShape.of(a.config, self.width) == shape]
        return stacked(of_kind, layer, place)

    def coupling(self, name: str) -> AdditiveCoupling:
        coupling = self._adapter(name).coupling
        assert coupling is not None
        return coupling

    def fuse(
        self,
        fusion: Fusion,
        layer: int,
        place: Place,
        x: Float[Tensor, "tokens width"],
        onto: Float[Tensor, "tokens width"],
    ) -> Float[Tensor, "tokens width"]:
        if fusion.names not in self.fusions:
            raise unknown_fusion(fusion.names, tuple(self.fusions))
        learned = self.fusions[fusion.names]
        acting = {leaf.name for leaf in fusion.leaves}
        adapters = [self._adapter(name) for name in learned.kept[layer] if name in acting]
        if not adapters:
            return onto
        weights = stacked(adapters, layer, place)
        index = PLACES[adapters[0].config.placement].index(place)
        zero = torch.zeros_like(x)
        outputs = torch.stack([bottleneck_onto(x, weights, slot, zero) for slot in range(len(adapters))], dim=1)
        return onto + learned.mix(layer, index, x, outputs)[0]

    def _adapter(self, name: str) -> Adapter:
        if name not in self.adapters:
            raise unknown_adapter(name, tuple(self.adapters))
        return self.adapters[name]
