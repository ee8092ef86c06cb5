"""An image tower in 8-bit integers, as OpenVINO runs it. The library is imported when one is made or loaded."""

import hashlib
import json
import sys
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from shutil import copytree
from threading import Lock
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.kernels.processor import adds_int8_products_in_32_bits, native_dtype
from polyglance.models.huggingface.download import read_json

GRAPH, WEIGHTS, DESCRIPTION = "image.xml", "image.bin", "image.json"


class OpenVinoTower:
    """An image tower that `save_int8` wrote to a folder. Several threads may call it at once.

    overflow_fix: whether its products fit into the 16 bits in which processors without VNNI add them.
    """

    def __init__(self, folder: Path) -> None:
        """Loads the tower.

        Raises:
            ConfigurationError: OpenVINO is not installed, or products overflow on this processor.
            CheckpointError: files are missing or are not those that were written.
        """
        self.folder = folder
        self._core = imported("openvino").Core()
        written = read_json(folder, DESCRIPTION)
        self.overflow_fix = written.pop("overflow_fix", False) is True
        if not self.overflow_fix and not adds_int8_products_in_32_bits():
            raise ConfigurationError(
                f"{folder} was exported on a processor with VNNI, and its 8-bit products overflow on this one, which "
                "has none: export the original here with `polyglance model export`; such an export runs on both"
            )
        if written != described(folder):
            raise CheckpointError(
                f"{folder} holds other files than were exported: expected {GRAPH} and {WEIGHTS} as {DESCRIPTION} names "
                "them; copy the model's folder again"
            )
        self._graph = self._core.read_model(folder / GRAPH)
        self._threads = torch.get_num_threads()
        self._compile_once, self._lock = lru_cache(maxsize=1)(self._compile), Lock()

    def __call__(self, values: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch seen image_width"]:
        """Returns the states of the last layer, in the dtype of the values.

        Everything that is not in integers is computed in bfloat16 if that is the dtype of the values and the processor
        supports it, else in float32.
        """
        request = self.compiled(values.dtype).create_infer_request()  # one's own: others may be under way
        (states,) = request.infer([values.float().cpu().numpy()]).values()
        return torch.from_numpy(states).to(values)

    def compiled(self, dtype: torch.dtype) -> Any:
        """Returns OpenVINO's `CompiledModel`.

        A call uses as many threads as torch has in the calling thread. As many calls run at once as fit into the
        threads that torch had when the tower was loaded.
        """
        with self._lock:
            return self._compile_once(torch.get_num_threads(), dtype)

    def save(self, folder: Path) -> None:
        if not folder.exists():
            copytree(self.folder, folder)

    def _compile(self, threads: int, dtype: torch.dtype) -> Any:
        streams = max(1, self._threads // threads)
        settings = {
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": streams * threads,
            "INFERENCE_PRECISION_HINT": "bf16" if dtype == native_dtype() == torch.bfloat16 else "f32",
        }
        return self._core.compile_model(self._graph, "CPU", settings)


def described(folder: Path) -> dict[str, str]:
    """Returns the hash of each file."""
    found = {}
    for path in (folder / GRAPH, folder / WEIGHTS):
        if path.exists():
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def write_description(folder: Path, overflow_fix: bool) -> None:
    written = {**described(folder), "overflow_fix": overflow_fix}
    (folder / DESCRIPTION).write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


def imported(name: str) -> Any:
    """Imports `openvino` or `nncf`. Raises ConfigurationError if it is not installed."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # without it, neither tells anyone
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            f"an image tower in 8-bit integers needs {name}, which is not installed: pip install 'polyglance[openvino]'"
        ) from error
