"""What there is to know about saved adapters and fusions without running them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyglance.adapters.checkpoint import Kind, load_adapter, load_fusion
from polyglance.adapters.config import Placement
from polyglance.errors import CheckpointError


@dataclass(frozen=True)
class AdapterFacts:
    """An adapter or a fusion in a folder.

    name: of a fusion those of its adapters, with commas between. placement: of an adapter. bytes: of its files.
    settings: an adapter's configuration; a fusion's places, and the adapters that each layer keeps.
    """

    kind: Kind
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
    for path in sorted([*folder.rglob("adapter.json"), *folder.rglob("fusion.json")]):
        try:
            found.append(_fusion_facts(path.parent) if path.name == "fusion.json" else _adapter_facts(path.parent))
        except CheckpointError as error:
            failed.append(FailedAdapter(str(path.parent), str(error)))
    return Catalogue(tuple(found), tuple(failed))


def facts_of(folder: Path) -> AdapterFacts:
    """Of the adapter or the fusion in a folder. Raises CheckpointError where there is neither."""
    return _fusion_facts(folder) if (folder / "fusion.json").exists() else _adapter_facts(folder)


def _adapter_facts(folder: Path) -> AdapterFacts:
    loaded = load_adapter(folder)
    adapter = loaded.adapter
    return AdapterFacts(
        "adapter",
        loaded.name,
        str(folder),
        adapter.config.placement,
        adapter.layers,
        adapter.width,
        sum(weight.numel() for weight in adapter.parameters()),
        _size(folder, "adapter"),
        loaded.fingerprint,
        adapter.config.to_dict(),
    )


def _fusion_facts(folder: Path) -> AdapterFacts:
    loaded = load_fusion(folder)
    fusion = loaded.fusion
    return AdapterFacts(
        "fusion",
        ",".join(fusion.names),
        str(folder),
        None,
        fusion.layers,
        fusion.width,
        sum(weight.numel() for weight in fusion.parameters()),
        _size(folder, "fusion"),
        loaded.fingerprint,
        {"places": fusion.places, "kept": fusion.kept},
    )


def _size(folder: Path, kind: Kind) -> int:
    return sum((folder / f"{kind}.{ending}").stat().st_size for ending in ("json", "safetensors"))
