"""Facts about saved adapters and fusions, read without running them."""

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
    """Facts about an adapter or a fusion in a folder.

    kind: `folded` is a fusion stored together with the weights it needs from its adapters. form: `adapters` is the
    format of the `adapters` library. name: for a fusion, the names of its adapters, joined by commas. folder: its path.
    placement: of the adapters; None for a fusion, which is stored without them. layers, width: of the body. parameters:
    the number of weights. bytes: the size of the files. fingerprint: a hash of the files. settings: an adapter's
    configuration; for a fusion, its places and the adapters that each layer keeps.
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
    """A folder with an adapter or fusion that cannot be read, and the reason."""

    folder: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """The adapters and fusions found below a folder, sorted by path, and the folders that could not be read."""

    found: tuple[AdapterFacts, ...]
    failed: tuple[FailedAdapter, ...]


def catalogue(folder: Path) -> Catalogue:
    """Lists the adapters and fusions in a folder and its subfolders, including those of the `adapters` library.

    Raises CheckpointError if there is no such folder.
    """
    if not folder.is_dir():
        raise CheckpointError(f"expected a folder with adapters, there is none at {folder}")
    facts, failed = [], []
    descriptions = [(path, *saved) for saved in _READERS for path in folder.rglob(_files(Path(), *saved)[0].name)]
    for path, form, kind in sorted(descriptions):
        try:
            facts.append(_facts(path.parent, form, kind))
        except CheckpointError as error:
            failed.append(FailedAdapter(str(path.parent), str(error)))
    return Catalogue(tuple(facts), tuple(failed))


def facts_of(folder: Path) -> AdapterFacts:
    """Reads the facts about the adapter or fusion in a folder.

    Raises CheckpointError if the folder holds neither, or one that cannot be read.
    """
    saved = (saved for saved in _READERS if _files(folder, *saved)[0].exists())
    return _facts(folder, *next(saved, ("polyglance", "adapter")))


def _files(folder: Path, form: Form, kind: SavedKind) -> tuple[Path, Path]:
    """The paths of the description and of the weights."""
    ours = (folder / f"{kind}.json", folder / f"{kind}.safetensors")
    return ours if form == "polyglance" else files_of(folder, kind)


def _facts(folder: Path, form: Form, kind: SavedKind) -> AdapterFacts:
    name, placement, module, settings = _READERS[form, kind](folder)
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


_Contents = tuple[str, Placement | None, Adapter | FusionWeights | FoldedWeights, Mapping[str, Any]]
"""The name, the placement, the module with the weights, and the settings."""


def _adapter_contents(name: str, adapter: Adapter) -> _Contents:
    return name, adapter.config.placement, adapter, adapter.config.to_dict()


def _fusion_contents(fusion: FusionWeights) -> _Contents:
    return ",".join(fusion.names), None, fusion, {"places": fusion.places, "kept": fusion.kept}


def _read_native_adapter(folder: Path) -> _Contents:
    loaded = load_adapter(folder)
    return _adapter_contents(loaded.name, loaded.adapter)


def _read_folded(folder: Path) -> _Contents:
    fusion = load_folded(folder)
    config = next(iter(fusion.configs.values()))
    return ",".join(fusion.names), config.placement, fusion, {"places": fusion.places, "kept": fusion.kept}


_READERS: Final[dict[tuple[Form, SavedKind], Callable[[Path], _Contents]]] = {
    ("polyglance", "adapter"): _read_native_adapter,
    ("polyglance", "fusion"): lambda folder: _fusion_contents(load_fusion(folder).fusion),
    ("polyglance", "folded"): _read_folded,
    ("adapters", "adapter"): lambda folder: _adapter_contents(*read_adapter(folder)),
    ("adapters", "fusion"): lambda folder: _fusion_contents(read_fusion(folder)),
}
