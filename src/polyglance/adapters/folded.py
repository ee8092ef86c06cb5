"""A fusion folded in all layers for inference, which replaces the fusion and its adapters."""

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import nn

from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.fusion import FoldedFusion, FusionWeights, check_fusion
from polyglance.adapters.modules import Adapter, stacked
from polyglance.errors import ConfigurationError


class FoldedWeights(nn.Module):
    """One `FoldedFusion` for every layer and place in which adapters act; the adapters' own weights are not needed.

    The tensors are the buffers inward_L_P, inward_bias_L_P and outward_L_P for place P of layer L.

    configs: the adapters' configurations by name, in the fusion's order. kept: for each layer, the adapters that were
    not pruned. width, layers: of the body.

    Raises ConfigurationError if the adapters cannot be fused, or `kept` does not fit them.
    """

    def __init__(
        self, configs: Mapping[str, AdapterConfig], kept: Sequence[Sequence[str]], width: int, layers: int
    ) -> None:
        super().__init__()
        if not configs:
            raise ConfigurationError("expected adapters to fuse, got none")
        self.names, self.configs, self.width, self.layers = tuple(configs), dict(configs), width, layers
        first = next(iter(self.configs.values()))
        self.places, bottleneck = len(first.places), first.bottleneck(width)
        self.activation = first.activation
        with torch.device("meta"):
            shape = FusionWeights(self.names, self.places, width, layers)
        check_fusion(shape, list(self.configs.values()), width, layers)
        shape.keep(kept)
        self.kept = shape.kept
        for layer in range(layers):
            if not (count := len(self.acting(layer))):
                continue
            inner = 2 * count * bottleneck + count
            for place in range(self.places):
                self.register_buffer(f"inward_{layer}_{place}", torch.empty(inner, width))
                self.register_buffer(f"inward_bias_{layer}_{place}", torch.empty(inner))
                self.register_buffer(f"outward_{layer}_{place}", torch.empty(width, count * bottleneck + count))

    @classmethod
    def of(cls, fusion: FusionWeights, adapters: Mapping[str, Adapter]) -> Self:
        """Folds a fusion with its adapters, given by name, in float32.

        Raises ConfigurationError if an adapter is missing or does not fit the fusion.
        """
        if missing := [name for name in fusion.names if name not in adapters]:
            raise ConfigurationError(f"expected the adapters {', '.join(fusion.names)}, but {missing[0]!r} is missing")
        mixed = {name: adapters[name] for name in fusion.names}
        check_fusion(fusion, [adapter.config for adapter in mixed.values()], fusion.width, fusion.layers)
        if any((adapter.width, adapter.layers) != (fusion.width, fusion.layers) for adapter in mixed.values()):
            raise ConfigurationError(f"expected adapters for {fusion.layers} layers of width {fusion.width}")
        configs = {name: adapter.config for name, adapter in mixed.items()}
        folded = cls(configs, fusion.kept, fusion.width, fusion.layers)
        for layer in range(fusion.layers):
            names = folded.acting(layer)
            for index, place in enumerate(next(iter(mixed.values())).config.places if names else ()):
                with torch.no_grad():
                    bottlenecks = stacked([mixed[name] for name in names], layer, place)
                    part = FoldedFusion.of(fusion, layer, index, names, bottlenecks)
                for kind in ("inward", "inward_bias", "outward"):
                    setattr(folded, f"{kind}_{layer}_{index}", getattr(part, kind))
        return folded

    def acting(self, layer: int) -> tuple[str, ...]:
        """The adapters that act in a layer: kept there and with a depth of at most `layer`."""
        return tuple(name for name in self.kept[layer] if self.configs[name].depth <= layer)

    def at(self, layer: int, place: int) -> FoldedFusion:
        """The fusion in one place of a layer; an adapter must act in that layer."""
        inward, inward_bias, outward = (
            self.get_buffer(f"{kind}_{layer}_{place}") for kind in ("inward", "inward_bias", "outward")
        )
        return FoldedFusion(inward, inward_bias, outward, self.acting(layer), self.activation)
