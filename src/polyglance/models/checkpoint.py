"""Saves and loads models as folders. Pickle is never read.

A folder holds `config.json`, `model.safetensors`, and `tokenizer.json` or the files of the towers, or it is the folder
of a published checkpoint.
"""

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from polyglance.adapters.config import AdapterConfig
from polyglance.atomic import whole_files
from polyglance.data.tokenization import Tokenizer
from polyglance.errors import CheckpointError, PolyglanceError
from polyglance.kernels.processor import native_dtype
from polyglance.models.families.blip import MODEL_TYPES
from polyglance.models.families.composed import ComposedConfig, ComposedModel, ComposedTowers
from polyglance.models.families.cut_model import CutConfig, CutModel
from polyglance.models.families.dual_tower import TOWER, DualTowerConfig, DualTowerModel
from polyglance.models.families.single_stream import SingleStreamConfig, SingleStreamModel
from polyglance.models.families.towers import ARCHITECTURES, INT8, Towers
from polyglance.models.huggingface.download import DESCRIPTION, checkpoint_folder, read_json
from polyglance.models.importing.layouts import CONVERTED
from polyglance.models.packing import pack, unpack
from polyglance.one_save import digest_of, require_one_save, save_weights

_CONFIGS: Final[dict[str, type[CutConfig]]] = {
    SingleStreamModel.family: SingleStreamConfig,
    DualTowerModel.family: DualTowerConfig,
    ComposedModel.family: ComposedConfig,
}
_MEASURED = {"calibration", "cosine_weight", "recall_by_depth"}
"""Fields of the configuration that are not part of the fingerprint: stored states do not depend on them."""
_WEIGHTS: Final = "model.safetensors"


def save_model(
    model: CutModel, folder: Path, dtype: torch.dtype = torch.bfloat16, packed: Collection[str] | None = None
) -> None:
    """Writes the files of a model, each of them completely or not at all.

    dtype: the dtype of the stored weights, except the variances of batch norms, which are stored in float32 rather than
    in float16. packed: None stores all weights in that dtype. Otherwise large weights are packed, see
    `models/packing.py`: those named here in 4 bits, the others in 8.

    Raises:
        ConfigurationError: `packed` holds a name that is not the name of a weight, or a weight to pack is not finite.
    """
    weights = {name: value.detach().cpu() for name, value in model.state_dict().items() if "num_batches" not in name}
    stored = {
        name: value.to(_precision(name, dtype) if name in weights else value.dtype).contiguous()
        for name, value in (weights if packed is None else pack(weights, packed)).items()
    }
    config = {"family": model.family, "name": model.name, **asdict(model.config)}
    with whole_files(folder) as draft:
        (draft / DESCRIPTION).write_text(_written(config), encoding="utf-8")
        model.save_readers(draft)
        save_weights(stored, draft / _WEIGHTS, _digest)


def _precision(name: str, dtype: torch.dtype) -> torch.dtype:
    """The dtype to store a weight in. Variances can exceed float16."""
    return torch.float32 if dtype == torch.float16 and name.endswith("running_var") else dtype


def load_folder(folder: Path, dtype: torch.dtype | None = None, name: str | None = None) -> CutModel:
    """Loads a model that `save_model` wrote, or a model of the towers of a published checkpoint, ready to use.

    folder: the folder of the model. dtype: the dtype of weights and products; None means bfloat16 if the processor
    multiplies it faster, else float32. name: the name of a published checkpoint; None means the folder's name.

    Raises:
        CheckpointError: a file is missing, is cut short or does not fit the others, or the kind of model is unknown.
    """
    model = _load(folder, dtype or native_dtype(), name or folder.resolve().name)
    model.source = os.path.abspath(folder)
    return model


def _load(folder: Path, dtype: torch.dtype, name: str) -> CutModel:
    weights_path = folder / _WEIGHTS
    fields = read_json(folder, DESCRIPTION)
    if "family" not in fields:
        return _published(folder, fields, dtype, name)
    described = _without_measurements(fields)
    model = _described(fields, folder, dtype)
    try:
        require_one_save(weights_path, _digest)
        shapes = {name: value.shape for name, value in model.state_dict().items()}
        missing, unexpected = model.load_state_dict(unpack(load_file(weights_path), shapes), strict=False)
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{weights_path} cannot be used: {reason}; copy the model's folder again") from error
    lost = [key for key in missing if "num_batches" not in key]
    if lost or unexpected:
        raise CheckpointError(
            f"{weights_path} does not fit config.json: missing {lost[:3]}, unexpected {unexpected[:3]}"
        )
    known = _written(described).encode() + weights_path.read_bytes() + model.fingerprint_outside.encode()
    model.fingerprint = sha256(known).hexdigest()[:16]
    return model.to(dtype).eval()


def _digest(path: Path) -> str | None:
    if path.suffix == ".safetensors" or path.parts[-3:-1] == (TOWER, INT8):
        return None  # a tower's: hundreds of megabytes; an export's, which know each other
    if path.name != DESCRIPTION or "family" not in (fields := read_json(path.parent, path.name)):
        return digest_of(path)
    return sha256(_written(_without_measurements(fields)).encode()).hexdigest()


def _without_measurements(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key not in _MEASURED}


def _described(fields: Mapping[str, Any], folder: Path, dtype: torch.dtype) -> CutModel:
    """Builds the model that the fields describe, without its weights."""
    path = folder / DESCRIPTION
    if (family := fields["family"]) not in _CONFIGS:
        raise CheckpointError(f"{path} describes a model of the family {family!r}; known are {' and '.join(_CONFIGS)}")
    shape: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    del shape["family"]
    try:
        name = shape.pop("name")
        for adapters in ("task_adapters", "tower_adapters"):
            if shape.get(adapters):
                shape[adapters] = AdapterConfig.from_dict(shape[adapters])
        config = _CONFIGS[family](**shape)
    except (ValueError, KeyError, TypeError, PolyglanceError) as error:
        raise CheckpointError(f"{path} does not describe a model of this project: {error}") from error
    if isinstance(config, ComposedConfig):
        return ComposedModel(config, ComposedTowers(folder / TOWER, dtype, config.layers, config.pooling), name)
    if isinstance(config, DualTowerConfig):
        return DualTowerModel(config, Towers(folder / TOWER, dtype), name)
    assert isinstance(config, SingleStreamConfig)
    return SingleStreamModel.blank(config, Tokenizer.load(folder / "tokenizer.json"), name)


def _published(folder: Path, fields: Mapping[str, Any], dtype: torch.dtype, name: str) -> CutModel:
    if (kind := fields.get("model_type")) not in ARCHITECTURES:
        raise CheckpointError(
            f"{folder / DESCRIPTION} describes a model of the type {kind!r}; known are "
            f"{', '.join((*ARCHITECTURES, *MODEL_TYPES))}, which are used as they are, and {', '.join(CONVERTED)}, "
            "which `polyglance model import` converts"
        )
    return DualTowerModel.from_checkpoint(checkpoint_folder(str(folder)), name, dtype)


def _written(config: Mapping[str, Any]) -> str:
    return json.dumps(config, indent=1, ensure_ascii=False) + "\n"
