"""Saved adapters and fusions, one per folder: a JSON description and safetensors weights. Pickle is never read.

adapter.json  adapter.safetensors     format, name, width, layers, config
fusion.json   fusion.safetensors      format, names, places, width, layers, kept
folded.json   folded.safetensors      format, adapters, width, layers, kept: a fusion folded with its adapters
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.folded import FoldedWeights
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.atomic import whole_files
from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.one_save import require_one_save, save_weights
from polyglance.types import PathLike

if TYPE_CHECKING:
    from polyglance.adapters.descriptions import AdapterDescription, FoldedDescription, FusionDescription

SavedKind = Literal["adapter", "fusion", "folded"]
FORMAT: Final = 1
"""The format of descriptions; this version refuses any other."""

_WITH_ARTICLE: Final[dict[SavedKind, str]] = {
    "adapter": "an adapter",
    "fusion": "a fusion of adapters",
    "folded": "a folded fusion of adapters",
}
_Module = TypeVar("_Module", Adapter, FusionWeights, FoldedWeights)


@dataclass(frozen=True)
class LoadedAdapter:
    """An adapter, the name under which it was saved, and a hash of its two files."""

    name: str
    adapter: Adapter
    fingerprint: str


@dataclass(frozen=True)
class LoadedFusion:
    """A fusion, and a hash of its two files."""

    fusion: FusionWeights
    fingerprint: str


def save_adapter(adapter: Adapter, folder: PathLike, name: str) -> None:
    """Writes `adapter.json` and `adapter.safetensors` to a folder, with weights as float32.

    Raises:
        ConfigurationError: the name is empty.
        CheckpointError: a weight is not finite.
    """
    if not name:
        raise ConfigurationError("expected a name for the adapter, got ''")
    facts = {"name": name, "width": adapter.width, "layers": adapter.layers, "config": adapter.config.to_dict()}
    _save(adapter, folder, "adapter", facts)


def load_adapter(folder: PathLike, width: int | None = None, layers: int | None = None) -> LoadedAdapter:
    """Reads an adapter that `save_adapter` wrote.

    width, layers: of the body that the adapter is meant for; None accepts any.

    Raises:
        CheckpointError: a file is missing or truncated, the two files do not match, or they are for another body.
    """

    def make(d: "AdapterDescription") -> Adapter:
        return Adapter(AdapterConfig.from_dict(d.config), d.width, d.layers)

    adapter, description, fingerprint = _load(folder, "adapter", (width, layers), make)
    return LoadedAdapter(description.name, adapter, fingerprint)


def save_fusion(fusion: FusionWeights, folder: PathLike) -> None:
    """Writes `fusion.json` and `fusion.safetensors` to a folder, with weights as float32 and without the adapters.

    Raises CheckpointError if a weight is not finite.
    """
    facts = {"names": fusion.names, "places": fusion.places, "width": fusion.width, "layers": fusion.layers}
    _save(fusion, folder, "fusion", {**facts, "kept": fusion.kept})


def load_fusion(folder: PathLike, width: int | None = None, layers: int | None = None) -> LoadedFusion:
    """Reads a fusion that `save_fusion` wrote. Arguments and errors are those of `load_adapter`."""

    def make(d: "FusionDescription") -> FusionWeights:
        fusion = FusionWeights(d.names, d.places, d.width, d.layers)
        fusion.keep(d.kept)
        return fusion

    fusion, _, fingerprint = _load(folder, "fusion", (width, layers), make)
    return LoadedFusion(fusion, fingerprint)


def save_folded(fusion: FoldedWeights, folder: PathLike) -> None:
    """Writes `folded.json` and `folded.safetensors` to a folder, with weights as float32.

    Raises CheckpointError if a weight is not finite.
    """
    configs = {name: config.to_dict() for name, config in fusion.configs.items()}
    facts = {"adapters": configs, "width": fusion.width, "layers": fusion.layers, "kept": fusion.kept}
    _save(fusion, folder, "folded", facts)


def load_folded(folder: PathLike, width: int | None = None, layers: int | None = None) -> FoldedWeights:
    """Reads a folded fusion that `save_folded` wrote. Arguments and errors are those of `load_adapter`."""

    def make(d: "FoldedDescription") -> FoldedWeights:
        configs = {name: AdapterConfig.from_dict(config) for name, config in d.adapters.items()}
        return FoldedWeights(configs, d.kept, d.width, d.layers)

    fusion, _, _ = _load(folder, "folded", (width, layers), make)
    return fusion


@contextmanager
def unfilled() -> Iterator[None]:
    """A context in which modules are made with shapes but without values: no memory is allocated, nothing is drawn."""
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Skips `normal_`: a tensor without memory has nothing to fill, but the call loads a compiler in 0.8 s."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.__name__ == "normal_":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def require_finite(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Raises CheckpointError, which names the first tensor with a NaN or infinite value."""
    for name, value in weights.items():
        # NumPy stays on one thread: for small tensors, on busy cores, torch's threads cost a hundred times the work
        if not np.isfinite(value.numpy()).all():
            raise CheckpointError(
                f"{path}: expected finite numbers in {name}, got NaN or infinity; take an earlier state of the training"
            )


def _save(module: nn.Module, folder: PathLike, kind: SavedKind, facts: Mapping[str, Any]) -> None:
    folder = Path(folder)
    weights = {
        name: value.detach().to("cpu", torch.float32).contiguous() for name, value in module.state_dict().items()
    }
    path = folder / f"{kind}.safetensors"
    require_finite(path, weights)
    description = json.dumps({"format": FORMAT, **facts}, indent=1, ensure_ascii=False)
    with whole_files(folder) as draft:
        (draft / f"{kind}.json").write_text(description + "\n", encoding="utf-8")
        save_weights(weights, draft / path.name)


def _load(
    folder: PathLike, kind: SavedKind, body: tuple[int | None, int | None], make: Callable[[Any], _Module]
) -> tuple[_Module, Any, str]:
    """(the module, its description, its fingerprint). make: makes the module that a description tells of."""
    folder = Path(folder)
    path, weights_path = folder / f"{kind}.json", folder / f"{kind}.safetensors"
    text = _read_description(folder, kind)
    try:
        description = _described(text, kind)
        with unfilled():
            module = make(description)
    except (ValueError, TypeError, RuntimeError, ConfigurationError) as error:
        raise CheckpointError(f"{path} does not describe {_WITH_ARTICLE[kind]}: {error}") from error
    _require_body(folder, kind, (module.width, module.layers), body)
    try:
        content = weights_path.read_bytes()
        weights = load(content)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise CheckpointError(f"{weights_path} cannot be used: {reason}; copy the {kind}'s folder again") from error
    _require_fit(weights_path, weights, module)
    require_one_save(weights_path)
    require_finite(weights_path, weights)
    module.load_state_dict(weights, assign=True)
    return module, description, sha256(text.encode() + content).hexdigest()[:16]


def _read_description(folder: Path, kind: SavedKind) -> str:
    path = folder / f"{kind}.json"
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        foreign = (folder / "adapter_config.json").exists() or (folder / "adapter_fusion_config.json").exists()
        help_ = "; convert it from the adapters library's form with `polyglance adapters convert`" if foreign else ""
        raise CheckpointError(f"{folder} holds no {kind}: expected a file {path.name} in it{help_}") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} does not describe {_WITH_ARTICLE[kind]}: {error.reason}") from error


def _described(text: str, kind: SavedKind) -> Any:
    """The declared model of a description. Raises ValueError for one that this version does not write."""
    # Searches import this module, and pydantic would take a twentieth of a second of each
    from polyglance.adapters.descriptions import AdapterDescription, FoldedDescription, FusionDescription
    from polyglance.data.forms import described

    match kind:
        case "adapter":
            return described(AdapterDescription, text, FORMAT)
        case "fusion":
            return described(FusionDescription, text, FORMAT)
        case "folded":
            return described(FoldedDescription, text, FORMAT)


def _require_body(
    folder: Path, kind: SavedKind, made_for: tuple[int, int], body: tuple[int | None, int | None]
) -> None:
    """Raises CheckpointError unless the module was made for the body. made_for, body: width and layers."""
    width, layers = (own if wanted is None else wanted for own, wanted in zip(made_for, body, strict=True))
    if (width, layers) != made_for:
        raise CheckpointError(
            f"{folder} holds {_WITH_ARTICLE[kind]} for {made_for[1]} layers of width {made_for[0]}, "
            f"this model has {layers} of width {width}: take one that was trained in this model"
        )


def _require_fit(path: Path, weights: Mapping[str, Tensor], module: nn.Module) -> None:
    """Raises CheckpointError unless a file's tensors match a module's by name and shape, in float32."""
    expected = module.state_dict()
    for name in sorted(expected.keys() ^ weights.keys()):
        raise CheckpointError(
            f"{path} does not fit its description: {name} is {'missing' if name in expected else 'unknown'}"
        )
    for name, value in sorted(weights.items()):
        if value.shape != expected[name].shape or value.dtype != torch.float32:
            wanted = f"float32 {list(expected[name].shape)}"
            raise CheckpointError(
                f"{path}: expected {name} to be {wanted}, got {str(value.dtype)[6:]} {list(value.shape)}"
            )
