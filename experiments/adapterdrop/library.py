"""Scores adapters that were trained here with the `adapters` library, in float32, beside our own float32 scores."""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from experiments.adapterdrop.text_tasks import TextTask
from experiments.results import Row
from polyglance.adapters.adapterhub import write_adapter
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.errors import ConfigurationError
from polyglance.training.tasks.text_inputs import TextInputs
from polyglance.training.tasks.trainer import TASK, TEST_BATCH, TrainedAdapter

PYTHON = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"


def library_row(text: TextTask, checkpoint: Path, trained: TrainedAdapter) -> Row:
    """Returns the test score here and in the library, and the largest difference of their logits.

    checkpoint: the folder of the body. Raises ConfigurationError if the library's environment is missing.
    """
    part = text.parts["test"]
    here, there = our_logits(part.inputs, trained), library_logits(part.inputs, checkpoint, trained)
    return {
        "score": round(text.measure(here, part.labels), 2),
        "library": round(text.measure(there, part.labels), 2),
        "difference": float(f"{(here - there).abs().max().item():.1e}"),
    }


def our_logits(inputs: TextInputs, trained: TrainedAdapter) -> Float[Tensor, "texts classes"]:
    """Returns the logits in float32, without kept states."""
    source, logits = TrainableAdapters({TASK: trained.adapter}), []
    with torch.no_grad():
        for rows in torch.arange(len(inputs)).split(TEST_BATCH):
            states = inputs.encoder(*inputs.embed(rows), Adaptation(source, [TASK] * len(rows)))
            logits.append(F.linear(states[:, 0], trained.head.weight, trained.head.bias))
    return torch.cat(logits)


def library_logits(inputs: TextInputs, checkpoint: Path, trained: TrainedAdapter) -> Float[Tensor, "texts classes"]:
    """Writes the adapter as the library keeps it, and returns the logits that the library computes with it.

    checkpoint: the folder of the body. Raises ConfigurationError if the library's environment is missing.
    """
    if not PYTHON.exists():
        raise ConfigurationError(f"expected the adapters library in {PYTHON.parent.parent}: `make test` installs it")
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_adapter(trained.adapter, folder / "adapter", TASK)
        types = torch.zeros_like(inputs.ids) if inputs.token_types is None else inputs.token_types
        head = {"weight": trained.head.weight.detach(), "bias": trained.head.bias.detach()}
        case = {"ids": inputs.ids, "mask": inputs.mask.long(), "types": types, **head}
        save_file(case, folder / "case.safetensors")
        subprocess.run(
            [PYTHON, Path(__file__).with_name("in_library.py"), checkpoint, folder],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            check=True,
            capture_output=True,
        )
        return load_file(folder / "logits.safetensors")["logits"]
