"""What there is to know about saved adapters and fusions without running them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from polyglance.adapters.checkpoint import SavedKind, load_adapter, load_folded, load_fusion
from polyglance.adapters.config import Placement
from polyglance.adapters.folded import FoldedWeights
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.errors import CheckpointError


@dataclass(frozen=True)
class AdapterFacts:
    """An adapter or a fusion in a folder.

    kind: `folded` is a fusion with what it needs of its adapters. name: of a fusion those of its adapters, with commas
    between. placement: of the adapters in it. fingerprint: a hash of its files. bytes: of them.
    settings: an adapter's configuration; a fusion's places, and the adapters that each layer keeps.
    """

    kind: SavedKind
    name: str
    folder: str
    placement: Placement | None
    layers: int
    width: int
    parameters: int
    bytes: int
    fingerprint: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class FailedAdapter:
    """A folder whose adapter or fusion cannot be used, and why."""

    folder: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """What was found below a folder, in the order of the paths."""

    found: tuple[AdapterFacts, ...]
    failed: tuple[FailedAdapter, ...]


def catalogue(folder: Path) -> Catalogue:
    """All adapters and fusions in a folder and below it. Raises CheckpointError where there is no folder."""
    if not folder.is_dir():
        raise CheckpointError(f"expected a folder with adapters, there is none at {folder}")
    found, failed = [], []
    places = [(path, kind) for kind in _FACTS for path in folder.rglob(f"{kind}.json")]
    for path, of_kind in sorted(places):
        try:
            found.append(_facts(path.parent, of_kind))
        except CheckpointError as error:
            failed.append(FailedAdapter(str(path.parent), str(error)))
    return Catalogue(tuple(found), tuple(failed))


def facts_of(folder: Path) -> AdapterFacts:
    """Of the adapter or the fusion in a folder. Raises CheckpointError where there is neither."""
    return _facts(folder, next((kind for kind in _FACTS if (folder / f"{kind}.json").exists()), "adapter"))


def _facts(folder: Path, kind: SavedKind) -> AdapterFacts:
    name, placement, module, settings = _FACTS[kind](folder)
    content = [(folder / f"{kind}.{ending}").read_bytes() for ending in ("json", "safetensors")]
    return AdapterFacts(
        kind,
        name,
        str(folder),
        placement,
        module.layers,
        module.width,
        sum(weight.numel() for weight in module.state_dict().values()),
        sum(map(len, content)),
        sha256(b"".join(content)).hexdigest()[:16],
        settings,
    )


Parts = tuple[str, Placement | None, Adapter | FusionWeights | FoldedWeights, Mapping[str, Any]]


def _adapter(folder: Path) -> Parts:
    loaded = load_adapter(folder)
    config = loaded.adapter.config
    return loaded.name, config.placement, loaded.adapter, config.to_dict()


def _fusion(folder: Path) -> Parts:
    fusion = load_fusion(folder).fusion
    return ",".join(fusion.names), None, fusion, {"places": fusion.places, "kept": fusion.kept}


def _folded(folder: Path) -> Parts:
    fusion = load_folded(folder)
    config = next(iter(fusion.configs.values()))
    return ",".join(fusion.names), config.placement, fusion, {"places": fusion.places, "kept": fusion.kept}


_FACTS: Final[dict[SavedKind, Callable[[Path], Parts]]] = {"adapter": _adapter, "fusion": _fusion, "folded": _folded}
