"""A model on disk: `config.json`, `model.safetensors`, `tokenizer.json` in one folder. Pickle is never read."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from polyglance.adapters.config import AdapterConfig
from polyglance.data.tokenization import Tokenizer
from polyglance.errors import CheckpointError, PolyglanceError
from polyglance.models.cut_model import CutModel
from polyglance.models.single_stream import SingleStreamConfig, SingleStreamModel

_MEASURED = {"calibration", "recall_by_depth"}
"""What is known of a model, and no part of it: what a library holds does not depend on these."""


def save_model(model: CutModel, folder: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Writes the files of a model; weights as bfloat16, two bytes each, unless another type is asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().to("cpu", dtype).contiguous() for name, value in model.state_dict().items()}
    save_file(
        {name: value for name, value in weights.items() if "num_batches" not in name}, folder / "model.safetensors"
    )
    config = {"family": model.family, "name": model.name, **asdict(model.config)}
    (folder / "config.json").write_text(_written(config), encoding="utf-8")
    model.save_readers(folder)


def load_folder(folder: Path, dtype: torch.dtype | None = None) -> SingleStreamModel:
    """The model that `save_model` wrote, ready to use.

    dtype: of weights and products; None takes bfloat16 where the processor multiplies it natively, else float32.

    Raises:
        CheckpointError: a file is missing, is cut short, or does not fit the others.
    """
    config_path, weights_path = folder / "config.json", folder / "model.safetensors"
    try:
        fields: dict[str, Any] = json.loads(config_path.read_text(encoding="utf-8"))
        described = {key: value for key, value in fields.items() if key not in _MEASURED}
        family, name = fields.pop("family"), fields.pop("name")
        fields |= {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
        if fields.get("task_adapters"):
            fields["task_adapters"] = AdapterConfig.from_dict(fields["task_adapters"])
        config = SingleStreamConfig(**fields)
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} holds no model: expected a file config.json in it") from error
    except (ValueError, KeyError, TypeError, PolyglanceError) as error:
        raise CheckpointError(f"{config_path} does not describe a model of this project: {error}") from error
    if family != SingleStreamModel.family:
        raise CheckpointError(
            f"{config_path} describes a model of the family {family!r}; known is {SingleStreamModel.family!r}"
        )
    model = SingleStreamModel(config, Tokenizer.load(folder / "tokenizer.json"), name)
    try:
        missing, unexpected = model.load_state_dict(load_file(weights_path), strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{weights_path} cannot be used: {reason}; copy the model's folder again") from error
    lost = [key for key in missing if "num_batches" not in key]
    if lost or unexpected:
        raise CheckpointError(
            f"{weights_path} does not fit config.json: missing {lost[:3]}, unexpected {unexpected[:3]}"
        )
    model.fingerprint = sha256(_written(described).encode() + weights_path.read_bytes()).hexdigest()[:16]
    return model.to(dtype or native_dtype()).eval()


def _written(config: Mapping[str, Any]) -> str:
    return json.dumps(config, indent=1, ensure_ascii=False) + "\n"


def native_dtype() -> torch.dtype:
    """bfloat16 where the processor has matrix products for it, else float32."""
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32
