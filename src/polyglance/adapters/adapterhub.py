"""Reads and writes adapters and fusions in the file format of the `adapters` library (AdapterHub, arXiv:2007.07779).

    adapter_config.json         adapter.safetensors               or pytorch_adapter.bin
    adapter_fusion_config.json  model_adapter_fusion.safetensors  or pytorch_model_adapter_fusion.bin

The bodies have the layers of BERT: BERT itself, RoBERTa, XLM-R. The library's `seq_bn` is `pfeiffer` here,
`double_seq_bn` is `houlsby` and `par_bn` is `parallel`. A `.bin` file is read for its tensors alone; no code in it
runs.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from polyglance.adapters.checkpoint import (
    SavedKind,
    load_adapter,
    load_fusion,
    require_finite,
    save_adapter,
    save_fusion,
    unfilled,
)
from polyglance.adapters.config import PLACES, AdapterConfig, Place, Placement
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.atomic import whole_files
from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.kernels.linear import Activation

Form = Literal["adapters", "polyglance"]

VERSION: Final = "adapters.1.3.0"
"""Written into each file; the library takes a file without a version for one of its predecessor."""

_DESCRIPTION: Final[dict[SavedKind, str]] = {"adapter": "adapter_config.json", "fusion": "adapter_fusion_config.json"}
_WEIGHTS: Final[dict[SavedKind, tuple[str, str]]] = {
    "adapter": ("adapter.safetensors", "pytorch_adapter.bin"),
    "fusion": ("model_adapter_fusion.safetensors", "pytorch_model_adapter_fusion.bin"),
}
_BODIES: Final = ("bert", "roberta", "xlm-roberta")
_PREFIXES: Final = ("bert.", "roberta.")
"""Prefixes of the tensors' names in files saved from a model with a head."""

_PLACEMENTS: Final[dict[Placement, dict[str, object]]] = {
    "pfeiffer": {"is_parallel": False, "mh_adapter": False, "original_ln_before": True},
    "houlsby": {"is_parallel": False, "mh_adapter": True, "original_ln_before": False},
    "parallel": {"is_parallel": True, "mh_adapter": False, "original_ln_before": False},
}
_FIXED: Final[dict[str, object]] = {
    "output_adapter": True,
    "original_ln_after": True,
    "residual_before_ln": True,
    "ln_before": False,
    "ln_after": False,
    "use_gating": False,
    "cross_adapter": False,
    "phm_layer": False,
}
"""Settings that have only this value here; a file that does not name one means the same value."""
_FIXED_ONCE: Final[dict[str, object]] = {"architecture": None, "new_attention_norm": False}
"""The same for settings of methods other than bottlenecks and of the library's predecessor; they are never written."""
_ABSENT: Final[dict[str, object]] = {
    "is_parallel": False,
    "original_ln_before": False,
    "scaling": 1.0,
    "leave_out": [],
    "inv_adapter": None,
    "inv_adapter_reduction_factor": None,
}
"""Values of settings that a file does not name."""
_IDLE: Final = {
    *("init_weights", "init_weights_seed", "dropout", "stochastic_depth"),
    *("adapter_residual_before_ln", "hypercomplex_nonlinearity", "attention_type"),
}
"""Settings without effect here: those of training and of features that `_FIXED` excludes (also any name with phm)."""
_FUSION_FIXED: Final[dict[str, object]] = {
    "query": True,
    "key": True,
    "query_before_ln": False,
    "residual_before": False,
    "temperature": False,
}
_FUSION_IDLE: Final = {"regularization", "value_before_softmax", "value_initialized", "dropout_prob"}
_ACTIVATIONS: Final[dict[str, Activation]] = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "silu": "silu",
    "swish": "silu",
}
_OLD_ACTIVATIONS: Final = {"gelu": "gelu_new", "gelu_orig": "gelu"}
"""The predecessor's names of activations, used in files without a version."""
_WRITTEN_ACTIVATIONS: Final[dict[Activation, str]] = {"gelu_tanh": "gelu_new", "silu": "swish"}
"""Activations with another name in the library."""

_PLACES: Final[dict[Place, str]] = {"attention": "attention.output", "feed_forward": "output"}
_BOTTLENECK: Final = {
    "down": "adapter_down.0.weight",
    "down_bias": "adapter_down.0.bias",
    "up": "adapter_up.weight",
    "up_bias": "adapter_up.bias",
}
_COUPLING: Final = {"f_down": "F.0", "f_up": "F.2", "g_down": "G.0", "g_up": "G.2"}
_FUSION: Final = {"query": "query.weight", "query_bias": "query.bias", "key": "key.weight", "value": "value.weight"}
_LAYER: Final = re.compile(r"encoder\.layer\.(\d{1,4})\.")

_TensorMap = dict[str, tuple[str, tuple[int, ...]]]
"""For each tensor name of the library: the parameter here, and the tensor's index in it."""


@dataclass(frozen=True)
class Conversion:
    """The result of a conversion.

    kind: `adapter` or `fusion`. form: the form that was written. left_out: files and folders of the source that were
    not converted because the form has no place for them, such as a prediction head.
    """

    kind: SavedKind
    form: Form
    left_out: tuple[str, ...]


def convert(source: Path, target: Path) -> Conversion:
    """Converts the adapter or fusion in a folder from the form of either library to that of the other.

    source: the folder to read. target: a new or empty folder to write.

    Raises:
        ConfigurationError: the target is not empty or not a folder.
        CheckpointError: the source holds no adapter or fusion, or one that the other form cannot express.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"expected a new or an empty folder to write to, {target} is neither")
    kind, form = _converted(source, target)
    read = {_DESCRIPTION[kind], *_WEIGHTS[kind], f"{kind}.json", f"{kind}.safetensors"}
    left_out = sorted(path.name for path in source.iterdir() if path.name not in read and path.name[0] != ".")
    return Conversion(kind, form, tuple(left_out))


def _converted(source: Path, target: Path) -> tuple[SavedKind, Form]:
    if (source / _DESCRIPTION["adapter"]).exists():
        name, adapter = read_adapter(source)
        save_adapter(adapter, target, name)
        return "adapter", "polyglance"
    if (source / _DESCRIPTION["fusion"]).exists():
        save_fusion(read_fusion(source), target)
        return "fusion", "polyglance"
    if (source / "fusion.json").exists():
        write_fusion(load_fusion(source).fusion, target)
        return "fusion", "adapters"
    if (source / "folded.json").exists():
        raise CheckpointError(
            f"{source} holds a folded fusion; the library needs the fusion and its adapters themselves"
        )
    loaded = load_adapter(source)
    write_adapter(loaded.adapter, target, loaded.name)
    return "adapter", "adapters"


def read_adapter(folder: Path) -> tuple[str, Adapter]:
    """Reads an adapter that the library saved and returns (name, adapter).

    Raises CheckpointError if a file is damaged or missing, or a setting has no equivalent here.
    """
    path, description = _read_description(folder, "adapter")
    name, width = _text(path, description, "name"), _whole(path, description, "hidden_size")
    weights_path, weights = _read_weights(folder, "adapter")
    try:
        layers = _layers(weights)
        config = _config(description, layers)
        with unfilled():
            adapter = Adapter(config, width, layers)
    except (KeyError, TypeError, ValueError, ConfigurationError) as error:
        raise CheckpointError(f"{path} describes an adapter that has no equal here: {error}") from error
    _fill(adapter, weights_path, weights, _adapter_tensors(adapter, name))
    return name, adapter


def read_fusion(folder: Path) -> FusionWeights:
    """Reads a fusion that the library saved.

    The key's bias is discarded: it adds the same value to the score of each adapter, which cancels in the softmax.

    Raises CheckpointError if a file is damaged or missing, or a setting has no equivalent here.
    """
    path, description = _read_description(folder, "fusion")
    name, width = _text(path, description, "name"), _whole(path, description, "hidden_size")
    names = description.get("adapter_names", name.split(","))
    weights_path, weights = _read_weights(folder, "fusion")
    places = 1 + any(".attention.output." in key for key in weights)
    try:
        settings = _settings(description)
        _require(settings, _FUSION_FIXED, _FUSION_IDLE | {"value"})
        if not (isinstance(names, list) and all(isinstance(one, str) and one for one in names)):
            raise ValueError(f"expected adapter_names to be a list of names, got {names!r}")
        with unfilled():
            fusion = FusionWeights(names, places, width, _layers(weights))
    except (KeyError, TypeError, ValueError, ConfigurationError) as error:
        raise CheckpointError(f"{path} describes a fusion that has no equal here: {error}") from error
    weights = {key: value for key, value in weights.items() if not key.endswith(f"{name}.key.bias")}
    parts = _fusion_tensors(fusion, name)
    if not settings.get("value"):
        identity = torch.eye(width)
        weights |= {key: identity for key, (ours, _) in parts.items() if ours == "value"}
    _fill(fusion, weights_path, weights, parts)
    return fusion


def write_adapter(adapter: Adapter, folder: Path, name: str) -> None:
    """Writes an adapter as the two files that the library's `model.load_adapter(folder)` reads, for any of its models.

    adapter: its weights. folder: where to write. name: the adapter's name in the library.

    Raises CheckpointError if the library cannot express the name or a setting.
    """
    config = adapter.config
    if config.shared or config.modality:
        setting = "shared=True" if config.shared else f"modality={config.modality!r}"
        raise CheckpointError(
            f"the adapters library has nothing like {setting}; only adapters without it can be written"
        )
    settings = {
        **_FIXED,
        **_PLACEMENTS[config.placement],
        "reduction_factor": config.reduction_factor,
        "non_linearity": _WRITTEN_ACTIVATIONS.get(config.activation, config.activation),
        "scaling": float(config.scaling),
        "leave_out": list(range(config.depth)),
        "inv_adapter": "nice" if config.invertible else None,
        "inv_adapter_reduction_factor": 2 if config.invertible else None,
    }
    description = {"config": settings, "hidden_size": adapter.width, "name": _writable(name)}
    _write(folder, "adapter", description, _collect(adapter, _adapter_tensors(adapter, name)))


def write_fusion(fusion: FusionWeights, folder: Path) -> None:
    """Writes a fusion as the two files that the library's `model.load_adapter_fusion(folder)` reads, for any of its
    models.

    Raises CheckpointError if the library does not accept a name, or the fusion was pruned.
    """
    for layer, kept in enumerate(fusion.kept):
        if kept != fusion.names:
            raise CheckpointError(
                f"the adapters library fuses the same adapters in all layers; this fusion keeps {len(kept)} of "
                f"{len(fusion.names)} in layer {layer}"
            )
    names = [_writable(name) for name in fusion.names]
    name = ",".join(names)
    parts = _fusion_tensors(fusion, name)
    bare = _collect(fusion, parts)
    bare |= {key.replace("query.bias", "key.bias"): torch.zeros(fusion.width) for key in parts if "query.bias" in key}
    # Unlike an adapter's, a fusion's tensors must have the prefix of the model that reads them; a tensor with
    # two names is stored once
    weights = {prefix + key: value for prefix in _PREFIXES for key, value in bare.items()}
    settings = {**_FUSION_FIXED, "value": True, "value_before_softmax": True, "value_initialized": True}
    settings |= {"regularization": True, "dropout_prob": None}
    description = {"config": settings, "hidden_size": fusion.width, "name": name, "adapter_names": names}
    _write(folder, "fusion", description, weights)


# -- settings ----------------------------------------------------------------------------------------------------------


def _settings(description: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings in the terms of `VERSION`. Raises ValueError if the model is not a BERT."""
    if (body := description.get("model_type", "bert")) not in _BODIES:
        raise ValueError(f"expected model_type to be {', '.join(_BODIES)}, got {body!r}")
    settings = dict(description["config"])
    if "version" not in description:
        activation = str(settings.get("non_linearity"))
        settings["non_linearity"] = _OLD_ACTIVATIONS.get(activation, activation)
    coupling = settings.pop("invertible_adapter", None)
    if coupling and description.get("type") != "text_task":  # task adapters name a coupling without having one
        settings |= {
            "inv_adapter": coupling["block_type"],
            "inv_adapter_reduction_factor": coupling["reduction_factor"],
        }
    return settings


def _require(settings: Mapping[str, Any], fixed: Mapping[str, object], others: set[str]) -> None:
    """Raises ValueError if a setting differs from its value in `fixed`, or is in neither `fixed` nor `others`."""
    for name, known in fixed.items():
        if (value := settings.get(name, known)) != known:
            raise ValueError(f"expected {name} to be {known!r}, got {value!r}")
    if unknown := sorted(name for name in settings.keys() - fixed.keys() - others if "phm" not in name):
        raise ValueError(f"{unknown[0]} = {settings[unknown[0]]!r} is not known")


def _config(description: Mapping[str, Any], layers: int) -> AdapterConfig:
    """Translates the settings. Raises ValueError, TypeError or ConfigurationError if one has no equivalent."""
    settings: dict[str, Any] = {**_ABSENT, **_settings(description)}
    placement: Placement = "parallel" if settings["is_parallel"] else "pfeiffer"
    if settings.get("mh_adapter") and not settings["is_parallel"]:
        placement = "houlsby"
    own = {"reduction_factor", "non_linearity", "scaling", "leave_out", "inv_adapter", "inv_adapter_reduction_factor"}
    _require(settings, _FIXED | _FIXED_ONCE | _PLACEMENTS[placement], _IDLE | own)
    left_out = sorted(set(settings["leave_out"] or ()))
    if left_out != list(range(len(left_out))):
        raise ValueError(f"expected leave_out to be the lowest layers, got {settings['leave_out']}")
    settings["reduction_factor"] = _common_reduction_factor(
        settings.get("reduction_factor"), range(len(left_out), layers)
    )
    for name in ("scaling", "reduction_factor"):
        if type(value := settings.get(name)) not in (int, float):
            raise ValueError(f"expected {name} to be a number, got {value!r}")
    if (activation := str(settings.get("non_linearity")).lower()) not in _ACTIVATIONS:
        raise ValueError(f"expected non_linearity to be one of {', '.join(_ACTIVATIONS)}, got {activation!r}")
    coupling, reduction = settings["inv_adapter"], settings["inv_adapter_reduction_factor"]
    if coupling not in (None, "nice"):
        raise ValueError(f"expected inv_adapter to be 'nice', got {coupling!r}")
    if coupling and reduction != 2:
        raise ValueError(f"expected inv_adapter_reduction_factor to be 2, got {reduction!r}")
    return AdapterConfig.from_dict(
        {
            "placement": placement,
            "reduction_factor": settings["reduction_factor"],
            "activation": _ACTIVATIONS[activation],
            "scaling": float(settings["scaling"]),
            "depth": len(left_out),
            "invertible": coupling is not None,
        }
    )


def _common_reduction_factor(value: object, layers: range) -> object:
    """Returns the reduction factor of all these layers; the library may list one per layer number and a `default`.

    Raises ValueError if the layers' factors differ.
    """
    if not isinstance(value, Mapping):
        return value
    factors = [value.get(str(layer), value.get("default")) for layer in layers]
    if any(factor != factors[0] for factor in factors):
        raise ValueError(f"expected one reduction_factor for all layers, got {dict(value)}")
    return factors[0]


# -- tensors -----------------------------------------------------------------------------------------------------------


def _adapter_tensors(adapter: Adapter, name: str) -> _TensorMap:
    parts: _TensorMap = {}
    for layer in range(adapter.config.depth, adapter.layers):
        for index, place in enumerate(adapter.config.places):
            before = f"encoder.layer.{layer}.{_PLACES[place]}.adapters.{name}"
            at = (adapter.stored(layer), index)
            parts |= {f"{before}.{theirs}": (ours, at) for ours, theirs in _BOTTLENECK.items()}
    if adapter.coupling is not None:
        for ours, theirs in _COUPLING.items():
            for kind in ("weight", "bias"):
                parts[f"invertible_adapters.{name}.{theirs}.{kind}"] = (f"coupling.{ours}.{kind}", ())
    return parts


def _fusion_tensors(fusion: FusionWeights, name: str) -> _TensorMap:
    parts: _TensorMap = {}
    places = PLACES["houlsby"] if fusion.places == len(PLACES["houlsby"]) else PLACES["pfeiffer"]
    for layer in range(fusion.layers):
        for index, place in enumerate(places):
            before = f"encoder.layer.{layer}.{_PLACES[place]}.adapter_fusion_layer.{name}"
            parts |= {f"{before}.{theirs}": (ours, (layer, index)) for ours, theirs in _FUSION.items()}
    return parts


def _layers(weights: Mapping[str, Tensor]) -> int:
    """Returns the number of the body's layers, taken from the highest layer with an adapter."""
    numbers = [int(match[1]) for match in map(_LAYER.match, weights) if match]
    if not numbers:
        raise ValueError("expected tensors of encoder.layer.0, encoder.layer.1, ..., got none of a layer")
    return max(numbers) + 1


def _fill(module: nn.Module, path: Path, weights: Mapping[str, Tensor], parts: _TensorMap) -> None:
    """Copies the library's tensors into a module without values."""
    for key in sorted(parts.keys() ^ weights.keys()):
        raise CheckpointError(
            f"{path} does not fit its description: {key} is {'missing' if key in parts else 'unknown'}"
        )
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    state = {name: torch.empty(shape) for name, shape in shapes.items()}
    for key, (name, at) in parts.items():
        if weights[key].shape != state[name][at].shape:
            raise CheckpointError(
                f"{path}: expected {key} to be {list(state[name][at].shape)}, got {list(weights[key].shape)}"
            )
        state[name][at] = weights[key]
    require_finite(path, state)
    module.load_state_dict(state, assign=True)


def _collect(module: nn.Module, parts: _TensorMap) -> dict[str, Tensor]:
    state = module.state_dict()
    return {key: state[name][at].detach().to("cpu", torch.float32, copy=True) for key, (name, at) in parts.items()}


# -- files -------------------------------------------------------------------------------------------------------------


def _read_description(folder: Path, kind: SavedKind) -> tuple[Path, dict[str, Any]]:
    path = folder / _DESCRIPTION[kind]
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(
            f"{folder} holds no {kind} of the adapters library: expected a file {path.name}"
        ) from error
    except ValueError as error:
        raise CheckpointError(f"{path} is no JSON: {error}") from error
    if not (isinstance(description, dict) and isinstance(description.get("config"), dict)):
        raise CheckpointError(f"{path} is not of the adapters library: expected an object with a config in it")
    return path, description


def _text(path: Path, description: Mapping[str, Any], key: str) -> str:
    if not (isinstance(value := description.get(key), str) and value):
        raise CheckpointError(f"{path}: expected {key} to be a text, got {value!r}")
    return value


def _whole(path: Path, description: Mapping[str, Any], key: str) -> int:
    if type(value := description.get(key)) is not int or value < 1:
        raise CheckpointError(f"{path}: expected {key} to be a number from 1 on, got {value!r}")
    return value


def files_of(folder: Path, kind: SavedKind) -> tuple[Path, Path]:
    """Returns the paths of the description and of the weights; safetensors are preferred to a `.bin`."""
    safe, other = (folder / name for name in _WEIGHTS[kind])
    return folder / _DESCRIPTION[kind], other if other.exists() and not safe.exists() else safe


def _read_weights(folder: Path, kind: SavedKind) -> tuple[Path, dict[str, Tensor]]:
    """Returns the file that was read, and its tensors by the current names of a body without a head."""
    _, path = files_of(folder, kind)
    try:
        safe = path.suffix == ".safetensors"
        tensors = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        names = " or ".join(_WEIGHTS[kind])
        raise CheckpointError(f"{folder} lacks the {kind}'s weights: expected {names}") from error
    except Exception as error:  # torch.load does not say what a torn file makes it raise
        raise CheckpointError(
            f"{path} cannot be read as tensors alone ({type(error).__name__}); save the {kind} with the library again"
        ) from error
    if not (isinstance(tensors, dict) and all(isinstance(value, Tensor) for value in tensors.values())):
        raise CheckpointError(f"{path}: expected tensors by name, got something else")
    weights: dict[str, Tensor] = {}
    for key, value in tensors.items():
        bare = _bare(str(key))
        if bare in weights and not torch.equal(weights[bare], value):
            raise CheckpointError(f"{path} holds two different tensors for {bare}")
        weights[bare] = value
    return path, weights


def _bare(key: str) -> str:
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    key = re.sub(r"\.(attention|layer)_text_(task|lang)_adapters\.", ".adapters.", key, count=1)
    return re.sub(r"^invertible_lang_adapters\.", "invertible_adapters.", key)


def _writable(name: str) -> str:
    """Returns the name if PyTorch accepts it for a module, as the library requires; otherwise raises
    CheckpointError."""
    if not name or "." in name or hasattr(nn.ModuleDict, name):
        raise CheckpointError(
            f"the adapters library takes no name that is empty, has a dot or is a word of PyTorch, got {name!r}"
        )
    return name


def _write(folder: Path, kind: SavedKind, description: Mapping[str, Any], weights: dict[str, Tensor]) -> None:
    """Writes the weights as `.bin`, which the library reads by default."""
    path = folder / _WEIGHTS[kind][1]
    require_finite(path, weights)
    text = json.dumps({**description, "version": VERSION}, indent=2, sort_keys=True, ensure_ascii=False)
    with whole_files(folder) as draft:
        torch.save(weights, draft / path.name)
        (draft / _DESCRIPTION[kind]).write_text(text + "\n", encoding="utf-8")
