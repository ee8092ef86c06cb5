"""Compares the image tower in 8-bit integers by OpenVINO with the same in bfloat16, by our layers and by transformers.

    make bench-export
    python -m benchmarks.export [--repeats 9] [--only TEXT] [--small]

The checkpoints have the sizes of SigLIP base and CLIP B/32 and random weights: this is a test of speed. The sides take
turns over the same preprocessed pictures, in batches as in an index run and with the same number of threads. ratio:
bfloat16 / int8, of medians. On a processor without bfloat16 the other sides are float32. Before the timing their
vectors are compared by cosine, as they are and after the mean of all pictures is subtracted.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from benchmarks.index import SEED, Checkpoint, checkpoints, draw
from experiments.results import RESULTS, Measurements, Row
from polyglance.kernels.processor import native_dtype
from polyglance.models.checkpoint import load_folder
from polyglance.models.families.dual_tower import DualTowerModel
from polyglance.models.families.towers import Towers
from polyglance.models.openvino.export import save_int8
from polyglance.models.protocol import ImageBatch

REQUIRED: Final = 2.0
CALIBRATION: Final = 32
LEAST_COSINE: Final = 0.9
"""The lowest cosine allowed with random weights, in which no direction matters more than another."""


def measure(checkpoint: Checkpoint, folder: Path, batch: int, repeats: int) -> Iterator[Row]:
    """Yields a row for each of the other sides and, on a processor that does not need the overflow fix, a row for the
    export with it, which shows the cost of the fix."""
    dtype = native_dtype()
    original, export, fixed = exports(checkpoint, folder, dtype)
    pixels = torch.from_numpy(
        np.stack([original.preprocess(draw(number)) for number in range(CALIBRATION, CALIBRATION + batch)])
    )
    sides: dict[str, Callable[[], Tensor]] = {
        "int8": partial(export.see, ImageBatch(pixels)),
        "our own layers": partial(original.see, ImageBatch(pixels)),
        "transformers": partial(by_transformers(original.tower), pixels),
    }
    comparisons = [("int8", "our own layers"), ("int8", "transformers")]
    if fixed:
        sides["int8 with the overflow fix"] = partial(fixed.see, ImageBatch(pixels))
        comparisons.append(("int8 with the overflow fix", "our own layers"))
    vectors = {name: original.compress(side()).vector for name, side in sides.items()}
    turns = [{name: milliseconds(side) / batch for name, side in sides.items()} for _ in range(repeats + 1)][1:]
    for ours, peer in comparisons:
        cosine = torch.cosine_similarity(vectors[ours], vectors[peer]).min().item()
        if cosine < LEAST_COSINE:
            raise RuntimeError(f"{checkpoint.name}: {ours} differs from {peer}, the least cosine is {cosine:.3f}")
        own_ms, peer_ms = (statistics.median(turn[name] for turn in turns) for name in (ours, peer))
        ratios = sorted(turn[peer] / turn[ours] for turn in turns)
        yield {
            "case": f"{checkpoint.name}, batches of {batch}{ours.removeprefix('int8')}, against {peer}",
            "dtype": "int8",
            "overflow_fix": fixed is None or ours != "int8",
            "ours_ms": round(own_ms, 2),
            "peer": f"{peer} in {str(dtype).removeprefix('torch.')}",
            "peer_ms": round(peer_ms, 2),
            "ratio": round(peer_ms / own_ms, 2),
            "required": REQUIRED if ours == "int8" else None,
            "spread": [round(ratios[0], 2), round(ratios[-1], 2)],
            "least_cosine": round(cosine, 5),
            "least_cosine_centred": round(least_centred(vectors[peer], vectors[ours]), 5),
            "threads": torch.get_num_threads(),
        }


def by_transformers(tower: Towers) -> Callable[[UInt8[Tensor, "batch 3 height width"]], Tensor]:
    """Returns a function that computes the last layer's states with the classes of transformers and the same
    weights."""
    from transformers import AutoModel

    network = AutoModel.from_pretrained(tower.folder, dtype=tower.network.dtype).eval().vision_model

    @torch.no_grad()
    def seen(pixels: UInt8[Tensor, "batch 3 height width"]) -> Tensor:
        states: Tensor = network(pixel_values=tower.normalised(pixels, tower.network.dtype)).last_hidden_state
        return states

    return seen


def exports(
    checkpoint: Checkpoint, folder: Path, dtype: torch.dtype
) -> tuple[DualTowerModel, DualTowerModel, DualTowerModel | None]:
    """Returns the original, its export for this processor, and the export with the overflow fix unless the first one
    has it."""
    original = loaded(checkpoint.write(folder / "checkpoint"), dtype)
    pictures = torch.from_numpy(np.stack([original.preprocess(draw(number)) for number in range(CALIBRATION)]))
    save_int8(original, pictures, folder / "export")
    export = loaded(folder / "export", dtype)
    if export.tower.int8 and export.tower.int8.overflow_fix:
        return original, export, None
    save_int8(original, pictures, folder / "fixed", overflow_fix=True)
    return original, export, loaded(folder / "fixed", dtype)


def loaded(folder: Path, dtype: torch.dtype) -> DualTowerModel:
    model = load_folder(folder, dtype)
    assert isinstance(model, DualTowerModel)
    return model


def least_centred(original: Float[Tensor, "pictures dim"], export: Float[Tensor, "pictures dim"]) -> float:
    return torch.cosine_similarity(*(side - side.mean(dim=0) for side in (original, export))).min().item()


def milliseconds(work: Callable[[], Tensor]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--only", default="", help="checkpoints whose name holds this")
    parser.add_argument("--small", action="store_true", help="tiny models, to see that everything runs")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = Measurements("bench_export", SEED, arguments.output)
    for checkpoint in checkpoints(arguments.small):
        if arguments.only in checkpoint.name:
            with tempfile.TemporaryDirectory() as name:
                for row in measure(checkpoint, Path(name), 32, arguments.repeats):
                    rows.add(row)


if __name__ == "__main__":
    main()
