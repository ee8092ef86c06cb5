"""Scores adapters that were trained here with the `adapters` library, in float32, beside our own float32 scores."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from experiments.adapterdrop.text_tasks import TextTask
from polyglance.adapters.adapterhub import write_adapter
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.errors import ConfigurationError
from polyglance.training.tasks.text_inputs import TextInputs
from polyglance.training.tasks.trainer import TASK, TEST_BATCH, TrainedAdapter

PYTHON = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"


def library_rows(
    tasks: Sequence[TextTask], trained: Sequence[TrainedAdapter], checkpoint: Path
) -> Iterator[dict[str, float]]:
    """Yields the test score of each task here and in the library, and the largest difference of their logits.

    trained: the adapter of each task. checkpoint: the folder of the body. Raises ConfigurationError if the library's
    environment is missing.
    """
    tests = [task.parts["test"] for task in tasks]
    in_library = library_logits([part.inputs for part in tests], trained, checkpoint)
    for task, part, adapter, there in zip(tasks, tests, trained, in_library, strict=True):
        here = our_logits(part.inputs, adapter)
        yield {
            "score": round(task.measure(here, part.labels), 2),
            "library": round(task.measure(there, part.labels), 2),
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


def library_logits(
    inputs: Sequence[TextInputs], trained: Sequence[TrainedAdapter], checkpoint: Path
) -> list[Float[Tensor, "texts classes"]]:
    """Writes adapters as the library keeps them, and returns the logits that the library computes with each.

    inputs: the texts of each adapter. checkpoint: the folder of the body. Raises ConfigurationError if the library's
    environment is missing.
    """
    if not PYTHON.exists():
        raise ConfigurationError(f"expected the adapters library in {PYTHON.parent.parent}: `make test` installs it")
    with TemporaryDirectory() as name:
        folders = [Path(name) / str(number) for number in range(len(trained))]
        for folder, texts, one in zip(folders, inputs, trained, strict=True):
            write_adapter(one.adapter, folder / "adapter", TASK)
            types = torch.zeros_like(texts.ids) if texts.token_types is None else texts.token_types
            head = {"weight": one.head.weight.detach(), "bias": one.head.bias.detach()}
            case = {"ids": texts.ids, "mask": texts.mask.long(), "types": types, **head}
            save_file(case, folder / "case.safetensors")
        subprocess.run(
            [PYTHON, Path(__file__).with_name("in_library.py"), checkpoint, *folders],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            check=True,
            capture_output=True,
        )
        return [load_file(folder / "logits.safetensors")["logits"] for folder in folders]
