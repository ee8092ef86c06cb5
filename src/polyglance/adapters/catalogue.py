"""What there is to know about saved adapters and fusions without running them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from polyglance.adapters.adapterhub import Form, files_of, read_adapter, read_fusion
from polyglance.adapters.checkpoint import SavedKind, load_adapter, load_folded, load_fusion
from polyglance.adapters.config import Placement
from polyglance.adapters.folded import FoldedWeights
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.errors import CheckpointError


@dataclass(frozen=True)
class AdapterFacts:
    """An adapter or a fusion in a folder.

    kind: `folded` is a fusion with what it needs of its adapters. form: `adapters` is that of the `adapters` library.
    name: a fusion has the names of its adapters, with commas between. placement: of the adapters in it.
    fingerprint: a hash of its files. bytes: the size of its files.
    settings: an adapter's configuration; a fusion's places, and the adapters that each layer keeps.
    """

    kind: SavedKind
    form: Form
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
    """All adapters and fusions in a folder and below it, those of the `adapters` library as well.

    Raises CheckpointError where there is no folder.
    """
    if not folder.is_dir():
        raise CheckpointError(f"expected a folder with adapters, there is none at {folder}")
    found, failed = [], []
    places = [(path, *saved) for saved in _FACTS for path in folder.rglob(_files(Path(), *saved)[0].name)]
    for path, form, kind in sorted(places):
        try:
            found.append(_facts(path.parent, form, kind))
        except CheckpointError as error:
            failed.append(FailedAdapter(str(path.parent), str(error)))
    return Catalogue(tuple(found), tuple(failed))


def facts_of(folder: Path) -> AdapterFacts:
    """Of the adapter or the fusion in a folder. Raises CheckpointError where there is neither."""
    saved = (saved for saved in _FACTS if _files(folder, *saved)[0].exists())
    return _facts(folder, *next(saved, ("polyglance", "adapter")))


def _files(folder: Path, form: Form, kind: SavedKind) -> tuple[Path, Path]:
    """The description and the weights."""
    ours = (folder / f"{kind}.json", folder / f"{kind}.safetensors")
    return ours if form == "polyglance" else files_of(folder, kind)


def _facts(folder: Path, form: Form, kind: SavedKind) -> AdapterFacts:
    name, placement, module, settings = _FACTS[form, kind](folder)
    content = [path.read_bytes() for path in _files(folder, form, kind)]
    return AdapterFacts(
        kind,
        form,
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


_Found = tuple[str, Placement | None, Adapter | FusionWeights | FoldedWeights, Mapping[str, Any]]
"""The name, the placement, what holds the weights, and the settings."""


def _of_adapter(name: str, adapter: Adapter) -> _Found:
    return name, adapter.config.placement, adapter, adapter.config.to_dict()


def _of_fusion(fusion: FusionWeights) -> _Found:
    return ",".join(fusion.names), None, fusion, {"places": fusion.places, "kept": fusion.kept}


def _adapter(folder: Path) -> _Found:
    loaded = load_adapter(folder)
    return _of_adapter(loaded.name, loaded.adapter)


def _folded(folder: Path) -> _Found:
    fusion = load_folded(folder)
    config = next(iter(fusion.configs.values()))
    return ",".join(fusion.names), config.placement, fusion, {"places": fusion.places, "kept": fusion.kept}


_FACTS: Final[dict[tuple[Form, SavedKind], Callable[[Path], _Found]]] = {
    ("polyglance", "adapter"): _adapter,
    ("polyglance", "fusion"): lambda folder: _of_fusion(load_fusion(folder).fusion),
    ("polyglance", "folded"): _folded,
    ("adapters", "adapter"): lambda folder: _of_adapter(*read_adapter(folder)),
    ("adapters", "fusion"): lambda folder: _of_fusion(read_fusion(folder)),
}
