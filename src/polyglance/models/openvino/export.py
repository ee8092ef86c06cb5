"""Converts the weights and activations of a dual-tower model's image tower to 8-bit integers."""

import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import UInt8
from PIL.Image import Image
from torch import Tensor, nn

from polyglance.adapters.modules import Adapter
from polyglance.errors import ConfigurationError
from polyglance.kernels.processor import adds_int8_products_in_32_bits
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.dual_tower import TOWER, DualTowerModel
from polyglance.models.families.towers import INT8, acting
from polyglance.models.huggingface.components import quiet
from polyglance.models.importing.conversion import require_empty
from polyglance.models.openvino.tower import GRAPH, imported, write_description
from polyglance.models.protocol import Reader
from polyglance.types import Progress

SMOOTHING: Final = 0.5
"""The share of an activation's outliers that moves to the weights. The paper uses 0.5; the default of nncf is 0.95."""


def exportable(model: Reader) -> DualTowerModel:
    """Returns the model if its image tower can be converted to 8-bit integers. Raises ConfigurationError if not."""
    if not isinstance(model, DualTowerModel) or model.tower.int8:
        raise ConfigurationError(
            "expected a model of two towers, such as CLIP or a composed one, whose image tower is not in 8-bit "
            f"integers yet, got {model.name}"
        )
    if model.tower.keeps_shape:
        raise ConfigurationError(
            f"expected towers that read pictures of one size, got {model.name}, which reads each in its own shape: "
            "export a SigLIP 2 of one resolution, such as google/siglip2-base-patch16-256"
        )
    return model


def export_int8(
    model: DualTowerModel,
    output: Path,
    pictures: Iterable[Image],
    accepted: Callable[[DualTowerModel], bool],
    progress: Progress | None = None,
) -> None:
    """Writes the model with its image tower in 8-bit integers to a folder, if it is accepted.

    model: see `exportable`. output: the folder to write, which must be empty or missing; the export is named after it.
    pictures: RGB pictures, which determine the ranges of activations. accepted: called with the loaded export; returns
    whether to keep it. progress: called with the number of readings that are done and the number of all readings.

    Raises:
        ConfigurationError: the output is not empty, or OpenVINO is not installed.
    """
    require_empty(output := output.resolve())
    calibrating = torch.from_numpy(np.stack([model.preprocess(picture) for picture in pictures]))
    model.name = output.name
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".export-") as beside:
        folder = Path(beside) / output.name
        save_int8(model, calibrating, folder, progress)
        export = load_folder(folder)
        assert isinstance(export, DualTowerModel)
        if accepted(export):
            folder.replace(output)


def save_int8(
    model: DualTowerModel,
    pictures: UInt8[Tensor, "pictures 3 height width"],
    folder: Path,
    progress: Progress | None = None,
    overflow_fix: bool | None = None,
) -> None:
    """Saves a model as `save_model` does, and adds its image tower and adapter in 8-bit integers.

    The tower is a graph of OpenVINO, which nncf quantises with its settings for transformers. Activations are smoothed
    first (SmoothQuant, arXiv:2211.10438). nncf uses all cores.

    pictures: the output of `preprocess`, which determines the ranges of activations. folder: the folder to write.
    progress: called with the number of readings that are done and the number of all readings. overflow_fix: whether
    weights use half of their range, so that the sum of two products fits into 16 bits. None means that this is done if
    this processor, which is to run the model, adds products in 16 bits (see `adds_int8_products_in_32_bits`).

    Raises:
        ConfigurationError: OpenVINO or nncf is not installed.
    """
    openvino, nncf = imported("openvino"), imported("nncf")
    if overflow_fix is None:
        overflow_fix = not adds_int8_products_in_32_bits()
    values = model.tower.normalised(pictures, torch.float32)
    seeing = _Seeing(model.tower.image_network, model.adapter_in("image"))
    passes, read = 2 * len(values), count(1)  # what smooths, and what takes ranges, each go over all pictures

    def given(one: Tensor) -> Any:
        if progress:
            progress(min(next(read), passes), passes)
        return one[None].numpy()

    with _silent(nncf):
        graph = openvino.convert_model(torch.jit.trace(seeing, values[:1]), example_input=values[:1])
        graph.reshape([-1, *values.shape[1:]])
        graph = nncf.quantize(
            graph,
            nncf.Dataset(list(values), given),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(values),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.ENABLE if overflow_fix else nncf.OverflowFix.FIRST_LAYER,
                smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=SMOOTHING),
            ),
        )
    save_model(model, folder)
    inside = folder / TOWER / INT8
    inside.mkdir()
    openvino.save_model(graph, inside / GRAPH)
    write_description(inside, overflow_fix)


class _Seeing(nn.Module):
    """A copy of the tower in float32 that uses only torch's own operations."""

    def __init__(self, tower: nn.Module, adapter: Adapter | None) -> None:
        super().__init__()
        self.tower, self.adapter = copy.deepcopy(tower), copy.deepcopy(adapter)
        self.float().cpu().requires_grad_(False)

    def forward(self, values: Tensor) -> Tensor:
        """Runs the tower. Shapes are not checked, because they are not numbers while tracing."""
        with torch.enable_grad(), acting(self.adapter):  # which others take where there are gradients
            states: Tensor = self.tower(values)
            return states


@contextmanager
def _silent(nncf: Any) -> Iterator[None]:
    """nncf draws bars and writes notes, transformers a note, torch one on CUDA; tracing warns of shapes, which stay as
    they are."""
    nncf.set_log_level(logging.ERROR)
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    with quiet(), redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
