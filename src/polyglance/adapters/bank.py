"""The adapters of a body, ready for inference: the weights of those in use are stacked by slot."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from polyglance.adapters.checkpoint import load_adapter
from polyglance.adapters.composition import Fusion
from polyglance.adapters.config import PLACES, AdapterConfig, Place
from polyglance.adapters.folded import FoldedWeights
from polyglance.adapters.fusion import FoldedFusion, FusionWeights, check_fusion
from polyglance.adapters.modules import Adapter, AdditiveCoupling, stacked
from polyglance.adapters.source import AdapterShape, unknown_adapter, unknown_fusion
from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.kernels.grouped import Bottlenecks
from polyglance.types import PathLike


class AdapterBank:
    """An `AdapterSource` for inference, which holds any number of adapters, given as modules or as folders.

    Weights are copied into tables. An adapter that is trained further after it was added must be added again.

    width, layers: of the body. resident: the most adapters with weights in the tables at once; the least recently used
    is evicted first. dtype, device: of the tables.

    Raises ConfigurationError if `resident` is below 1.
    """

    def __init__(
        self,
        width: int,
        layers: int,
        resident: int = 64,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        if resident < 1:
            raise ConfigurationError(f"expected room for one resident adapter or more, got {resident}")
        self.width, self.layers, self.resident = width, layers, resident
        self.dtype, self.device = dtype, torch.device(device)
        self._latest: _Latest | None = None
        self._kept: dict[str, Adapter | _InFolder] = {}
        self._configs: dict[str, AdapterConfig] = {}
        self._fusions: dict[tuple[str, ...], FusionWeights | FoldedWeights] = {}
        self._folded: dict[tuple[tuple[str, ...], tuple[str, ...], int, Place], FoldedFusion] = {}
        self._tables: dict[AdapterShape, _Table] = {}
        self._slots: OrderedDict[str, int] = OrderedDict()
        self._couplings: dict[str, AdditiveCoupling] = {}
        self._pinned: set[str] = set()

    # -- what is registered ----------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """The registered adapters, in the order in which they were added."""
        return tuple(self._kept)

    @property
    def resident_names(self) -> tuple[str, ...]:
        """The adapters in the tables, the least recently used first."""
        return tuple(self._slots)

    def add(self, name: str, adapter: Adapter | PathLike) -> None:
        """Registers an adapter, replacing any adapter of the same name.

        A folder is read again when its adapter becomes resident, unless it was the last one added. When its files have
        changed since they were registered, that raises CheckpointError: add the adapter again.

        Raises CheckpointError or ConfigurationError if the adapter does not fit the body; the bank is then unchanged.
        """
        kept: Adapter | _InFolder
        if isinstance(adapter, str | os.PathLike):
            adapter = Path(adapter)
            state = _state_of(adapter)
            loaded = load_adapter(adapter, self.width, self.layers)
            kept, config = _InFolder(adapter, loaded.fingerprint), loaded.adapter.config
            self._latest = _Latest(kept, loaded.adapter, state)
        elif (adapter.width, adapter.layers) != (self.width, self.layers):
            raise ConfigurationError(
                f"expected an adapter for {self.layers} layers of width {self.width}, "
                f"got {name!r} for {adapter.layers} of width {adapter.width}"
            )
        else:
            kept, config = adapter, adapter.config
        self._release(name)
        self._kept[name], self._configs[name] = kept, config

    def remove(self, name: str) -> None:
        """Removes an adapter and all fusions that contain it.

        Raises ConfigurationError for an unknown name.
        """
        self._require(name)
        self._release(name)
        self._fusions = {names: fusion for names, fusion in self._fusions.items() if name not in names}
        self._pinned.discard(name)
        del self._kept[name], self._configs[name]

    def add_fusion(self, fusion: FusionWeights) -> None:
        """Registers a fusion of registered adapters, which `Fuse` of their names, in the same order, then selects.

        Raises ConfigurationError if it does not fit the body or its adapters, or one of them is not registered.
        """
        for name in fusion.names:
            self._require(name)
        check_fusion(fusion, [self._configs[name] for name in fusion.names], self.width, self.layers)
        self._put_fusion(fusion)

    def add_folded(self, fusion: FoldedWeights) -> None:
        """Registers a folded fusion, which `Fuse` of its names then selects; its adapters need not be registered.

        Raises ConfigurationError if it does not fit the body, or a registered adapter has the same name and another
        configuration.
        """
        if (fusion.width, fusion.layers) != (self.width, self.layers):
            raise ConfigurationError(
                f"expected a fusion for {self.layers} layers of width {self.width}, "
                f"got one for {fusion.layers} of width {fusion.width}"
            )
        for name, config in fusion.configs.items():
            if (self._config(name) or config) != config:
                raise ConfigurationError(f"another adapter {name!r} was added; the fusion's needs a name of its own")
        self._put_fusion(fusion)

    def _put_fusion(self, fusion: FusionWeights | FoldedWeights) -> None:
        self._folded = {key: folded for key, folded in self._folded.items() if key[0] != fusion.names}
        self._fusions[fusion.names] = fusion

    def pin(self, name: str) -> None:
        """Makes an adapter resident and excludes it from eviction.

        Raises ConfigurationError for an unknown name, or if pinned adapters leave no room.
        """
        self.slots([name])
        self._pinned.add(name)

    def unpin(self, name: str) -> None:
        """Allows an adapter to be evicted again. Raises ConfigurationError for an unknown name."""
        self._require(name)
        self._pinned.discard(name)

    def _release(self, name: str) -> None:
        if name in self._slots:
            slot = self._slots.pop(name)
            self._table(AdapterShape.of(self._configs[name], self.width)).free.append(slot)
            self._couplings.pop(name, None)
        self._folded = {key: folded for key, folded in self._folded.items() if name not in key[0]}

    # -- what acts -------------------------------------------------------------------------------------------------

    def config(self, name: str) -> AdapterConfig:
        """The configuration of an adapter. Raises ConfigurationError for an unknown name."""
        config = self._config(name)
        if config is None:
            raise unknown_adapter(name, self.names)
        return config

    def _config(self, name: str) -> AdapterConfig | None:
        """The configuration of an adapter that was added or belongs to a folded fusion; None for any other."""
        if name in self._configs:
            return self._configs[name]
        folded = (fusion for fusion in self._fusions.values() if isinstance(fusion, FoldedWeights))
        return next((fusion.configs[name] for fusion in folded if name in fusion.configs), None)

    def _require(self, name: str) -> None:
        """Raises ConfigurationError unless the adapter itself was added."""
        if name not in self._configs:
            raise unknown_adapter(name, self.names)

    def slots(self, names: Sequence[str]) -> dict[str, int]:
        """Makes these adapters resident together and returns their slots by name.

        Raises ConfigurationError for an unknown name, or if pinned adapters leave too little room; nothing is evicted
        then.
        """
        wanted = dict.fromkeys(names)
        for name in wanted:
            self._require(name)
        if len(wanted | dict.fromkeys(self._pinned)) > self.resident:
            raise ConfigurationError(
                f"expected at most {self.resident} resident adapters, got {len(wanted)} for one batch beside "
                f"{len(self._pinned - set(wanted))} that are pinned: unpin some, or make a bank with more room"
            )
        for name in wanted:
            if name in self._slots:
                self._slots.move_to_end(name)
        for name in wanted:
            if name not in self._slots:
                self._load(name, wanted)
        return {name: self._slots[name] for name in wanted}

    def _load(self, name: str, wanted: dict[str, None]) -> None:
        adapter = self._adapter(name)
        if len(self._slots) >= self.resident:
            oldest = next(other for other in self._slots if other not in self._pinned and other not in wanted)
            self._release(oldest)
        self._slots[name] = self._table(AdapterShape.of(adapter.config, self.width)).put(adapter)
        if adapter.coupling is not None:
            self._couplings[name] = deepcopy(adapter.coupling).to(self.device, self.dtype)

    def _table(self, shape: AdapterShape) -> "_Table":
        if shape not in self._tables:
            self._tables[shape] = _Table(shape, self)
        return self._tables[shape]

    def bottlenecks(self, shape: AdapterShape, layer: int, place: Place) -> Bottlenecks:
        return self._table(shape).at(layer, place)

    def coupling(self, name: str) -> AdditiveCoupling:
        self.slots([name])
        return self._couplings[name]

    def fuse(
        self,
        fusion: Fusion,
        layer: int,
        place: Place,
        x: Float[Tensor, "tokens width"],
        onto: Float[Tensor, "tokens width"],
    ) -> Float[Tensor, "tokens width"]:
        folded = self.folded(fusion, layer, place)
        return onto if folded is None else folded.onto(x, onto)

    def folded(self, fusion: Fusion, layer: int, place: Place) -> FoldedFusion | None:
        """Returns a fusion folded for one place of one layer, or None if pruning left no adapter that acts there.

        The result is kept for later calls.

        Raises ConfigurationError if no fusion of these adapters was registered.
        """
        learned = self._fusions.get(fusion.names)
        if learned is None:
            raise unknown_fusion(fusion.names, tuple(self._fusions))
        acting = {leaf.name for leaf in fusion.leaves}
        names = tuple(name for name in learned.kept[layer] if name in acting)
        key = (fusion.names, names, layer, place)
        if names and key not in self._folded:
            index = self.config(fusion.names[0]).places.index(place)
            if isinstance(learned, FoldedWeights):
                self._folded[key] = learned.at(layer, index).only(names).to(self.device, self.dtype)
            else:
                with torch.no_grad():
                    weights = stacked([self._adapter(name) for name in names], layer, place)
                    folded = FoldedFusion.of(learned, layer, index, names, weights)
                self._folded[key] = folded.to(self.device, self.dtype)
        return self._folded.get(key)

    def _adapter(self, name: str) -> Adapter:
        kept = self._kept[name]
        if isinstance(kept, Adapter):
            return kept
        latest, self._latest = self._latest, None
        if latest and latest.kept is kept and latest.state == _state_of(kept.folder):
            return latest.adapter
        loaded = load_adapter(kept.folder, self.width, self.layers)
        if loaded.fingerprint != kept.fingerprint:
            raise CheckpointError(
                f"{kept.folder} holds another adapter than when {name!r} was added ({loaded.fingerprint}, it was "
                f"{kept.fingerprint}): add it again"
            )
        return loaded.adapter


def _state_of(folder: Path) -> tuple[tuple[int, int, int], ...]:
    """What tells whether another file was written since: of each file its number, size and time."""
    return tuple(
        (file.stat().st_ino, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(folder.glob("adapter.*"))
    )


@dataclass(frozen=True, eq=False)
class _Latest:
    """The adapter that was registered last: it is mostly used next, and is not read a second time for that."""

    kept: "_InFolder"
    adapter: Adapter
    state: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class _InFolder:
    """The folder of an adapter, read when the adapter becomes resident, and the hash of its files when it was added."""

    folder: Path
    fingerprint: str


class _Table:
    """The weights of all resident adapters of one shape: (layers, places, slots, ...).

    Weights below an adapter's depth are zero.
    """

    def __init__(self, shape: AdapterShape, bank: AdapterBank) -> None:
        self.shape, self.most = shape, bank.resident
        places, width = len(PLACES[shape.placement]), bank.width
        shapes = ((shape.bottleneck, width), (shape.bottleneck,), (width, shape.bottleneck), (width,))
        self.weights = [
            torch.zeros(bank.layers, places, 0, *shape, dtype=bank.dtype, device=bank.device) for shape in shapes
        ]
        self.free: list[int] = []

    def put(self, adapter: Adapter) -> int:
        """Copies the weights into a free slot and returns the slot; the table doubles if none is free."""
        if not self.free:
            self._grow()
        slot = self.free.pop(0)
        depth, scaling = adapter.config.depth, adapter.config.scaling
        parts = (adapter.down, adapter.down_bias, adapter.up * scaling, adapter.up_bias * scaling)
        with torch.no_grad():
            for table, part in zip(self.weights, parts, strict=True):
                table[:depth, :, slot] = 0
                table[depth:, :, slot] = part.to(table.device, table.dtype)
        return slot

    def _grow(self) -> None:
        before = self.weights[0].shape[2]
        after = min(max(2 * before, 8), self.most)
        self.weights = [
            torch.cat([table, table.new_zeros(*table.shape[:2], after - before, *table.shape[3:])], dim=2)
            for table in self.weights
        ]
        self.free += range(before, after)

    def at(self, layer: int, place: Place) -> Bottlenecks:
        index = PLACES[self.shape.placement].index(place)
        down, down_bias, up, up_bias = (table[layer, index] for table in self.weights)
        return Bottlenecks(down, down_bias, up, up_bias, self.shape.activation)
