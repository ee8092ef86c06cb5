"""Compares indexing JPEG files into a library with sentence-transformers over the same files and with the bare tower.

    make bench-index
    python -m benchmarks.index [--pictures 1000] [--only TEXT] [--small]

The checkpoints have the sizes of SigLIP base and CLIP B/32 and random weights: this is a test of speed. Pictures are
640 x 480, drawn with gradients, shapes and grain, and as large in bytes as photographs. Ours is `Library.add`: it
finds, hashes, decodes and scales the files, reads them with the model, compresses the states and writes them to the
disk. sentence-transformers encodes the paths with the same weights, dtype and threads: in its default batches of 32,
and in the batches that suit it best. The limit is transformers' own tower over prepared tensors, in the batches that
suit it best; one row compares our own tower alone, over prepared pixels, with it. Before the timing the others' vectors
are compared with ours by cosine, after the mean of all pictures is subtracted. The sides take turns over the same parts
of the files, `peer_pictures` in all. ratio: theirs / ours, of medians. Then ours reads all files in one run, which
gives the peak memory and the milliseconds per picture (all_ms).
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lance
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.adapters import Peer
from experiments.results import RESULTS, Measurements, Row
from polyglance.kernels.processor import instruction_set, native_dtype
from polyglance.library import Library
from polyglance.models.checkpoint import load_folder
from tests.checkpoints import tiny_clip, tiny_siglip

SEED: Final = 0
WIDTH, HEIGHT = 640, 480
PART: Final = 100
"""The number of pictures in a turn."""
FLOAT32_PARTS, FLOAT32_PART = 3, 50
"""The number of turns in float32 and of pictures in each, because float32 takes several times as long."""
BATCHES: Final = (8, 16, 32)
OUR_BATCH: Final = 16
AS_IT_COMES: Final = 32
BEST_OF: Final = 32
"""The number of pictures on which the batch sizes of the other sides are tried."""
LEAST_COSINE: Final = {"float32": 0.99999, "bfloat16": 0.99}
LIBRARY, LIBRARY_BEST = "sentence-transformers as it comes", "sentence-transformers in its best batches"
LIMIT: Final = "the bare tower over ready tensors"
BARE: Final = "the bare tower, ours alone as well"
REQUIRED: Final = {LIBRARY: 1.3, LIMIT: 0.9}
REQUIRED_IN_AVX2: Final = {LIBRARY: 1.3, LIBRARY_BEST: 1.2, LIMIT: 0.95}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint with random weights. text, vision: fields of its two configurations."""

    name: str
    text: dict[str, int]
    vision: dict[str, int]

    def write(self, folder: Path) -> Path:
        """Writes the checkpoint in the hub's layout, with random weights and the tokenizer of a tiny one."""
        import transformers

        clip = self.name.startswith("CLIP")
        kind = transformers.CLIPModel if clip else transformers.SiglipModel
        (tiny_clip if clip else tiny_siglip)(folder)
        config = kind.config_class.from_pretrained(folder)
        config.text_config.update(self.text)
        config.vision_config.update(self.vision)
        if clip:
            config.projection_dim = self.text["hidden_size"]
        torch.manual_seed(SEED)
        kind(config).to(torch.bfloat16).save_pretrained(folder)
        _change(folder / "preprocessor_config.json", size=self.vision["image_size"])
        _change(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")  # SigLIP's needs a package
        return folder


def _change(path: Path, size: int | None = None, **fields: str) -> None:
    written: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for name in {"size", "crop_size"} & written.keys() if size else ():
        written[name] = dict.fromkeys(written[name], size)
    path.write_text(json.dumps(written | fields), encoding="utf-8")


def _tower(width: int, layers: int, heads: int) -> dict[str, int]:
    shape = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
    return {**shape, "intermediate_size": 4 * width}


def checkpoints(small: bool) -> tuple[Checkpoint, ...]:
    if small:
        tiny = _tower(32, 2, 2)
        return (
            Checkpoint("SigLIP, tiny", {**tiny, "projection_size": 32}, {**tiny, "image_size": 32, "patch_size": 8}),
            Checkpoint("CLIP, tiny", tiny, {**tiny, "image_size": 32, "patch_size": 8}),
        )
    base = _tower(768, 12, 12)
    return (
        Checkpoint("SigLIP base", {**base, "projection_size": 768}, {**base, "image_size": 256, "patch_size": 16}),
        Checkpoint("CLIP B/32", _tower(512, 12, 8), {**base, "image_size": 224, "patch_size": 32}),
    )


def draw(number: int) -> Image.Image:
    """Draws a gradient, a dozen shapes and grain of three sizes, which take as many bytes in JPEG as a photograph."""
    rng = np.random.default_rng((SEED, number))
    across, down = np.linspace(0, 1, WIDTH)[None, :, None], np.linspace(0, 1, HEIGHT)[:, None, None]
    colour, right, below = rng.uniform(60, 200, 3), rng.uniform(-120, 120, 3), rng.uniform(-120, 120, 3)
    picture = Image.fromarray(np.clip(colour + right * across + below * down, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(12):
        left, top = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT)
        box = (left, top, left + rng.uniform(20, 240), top + rng.uniform(20, 240))
        (pen.ellipse if rng.random() < 0.5 else pen.rectangle)(box, fill=tuple(rng.integers(0, 256, 3).tolist()))
    grain = sum(_grain(rng, size) * strength for size, strength in ((2, 8), (4, 8), (8, 10)))
    return Image.fromarray(np.clip(np.asarray(picture) + np.asarray(grain)[..., None], 0, 255).astype(np.uint8))


def _grain(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    noise = rng.normal(size=(HEIGHT // size, WIDTH // size)).astype(np.float32)
    return np.asarray(Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def draw_parts(folder: Path, pictures: int, size: int) -> list[Path]:
    """Draws pictures into folders of `size` pictures each, and returns the folders."""
    for number in range(pictures):
        part = folder / f"{number // size:04}"
        part.mkdir(parents=True, exist_ok=True)
        draw(number).save(part / f"{number:06}.jpg", quality=85)
    return sorted(folder.iterdir())


def files(parts: Sequence[Path]) -> list[str]:
    return [str(path) for part in parts for path in sorted(part.iterdir())]


class Memory:
    """The peak of this process's resident memory."""

    @staticmethod
    def forget() -> None:
        Path("/proc/self/clear_refs").write_text("5")

    @staticmethod
    def peak_mib() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


class Comparison:
    """One checkpoint in one dtype: our side here, the others in a process of their own."""

    def __init__(self, checkpoint: Checkpoint, dtype: str, parts: Sequence[Path], folder: Path, peer: Peer) -> None:
        self.checkpoint, self.dtype, self.parts, self.peer, self.folder = checkpoint, dtype, parts, peer, folder
        written = checkpoint.write(folder / "checkpoint")
        self.model = load_folder(written, getattr(torch, dtype))
        peer(make=str(written), dtype=dtype, threads=torch.get_num_threads())

    def other(self, side: str, paths: Sequence[str], batch: int, keep: Path | None = None) -> float:
        """Returns the milliseconds per picture."""
        seconds: float = self.peer(read=paths, side=side, batch=batch, keep=keep and str(keep))
        return 1000 * seconds / len(paths)

    def tower_alone(self, paths: Sequence[str]) -> float:
        """Returns the milliseconds per picture of our own tower over preprocessed pixels."""
        images = [self.model.preprocess(Image.open(path).convert("RGB")) for path in paths]
        ready, tower = torch.from_numpy(np.stack(images)), self.model.tower
        started = time.perf_counter()
        with torch.inference_mode():
            for some in ready.split(OUR_BATCH):
                tower.image_vector(tower.see(some, None))
        return 1000 * (time.perf_counter() - started) / len(paths)

    def best_batch(self, side: str) -> int:
        paths = files(self.parts[:1])[:BEST_OF]
        self.other(side, paths, BATCHES[0])
        return min(BATCHES, key=lambda batch: self.other(side, paths, batch))

    def cosines(self) -> dict[str, float]:
        """Returns the lowest cosine of our vectors with those of each other side."""
        library = self.folder / "checked"
        Library.create(library, model=self.model).add(self.parts[0])
        rows = lance.dataset(library / "pictures.lance").to_table().sort_by("path")
        ours = torch.from_numpy(np.stack(rows["vector"].to_pylist())).float()
        found = {}
        for side in ("sentence_transformers", "tower_alone"):
            kept = self.folder / "vectors.safetensors"
            self.other(side, files(self.parts[:1]), AS_IT_COMES, kept)
            found[side] = _least_cosine(ours, load_file(kept)["vectors"])
        if min(found.values()) < LEAST_COSINE[self.dtype]:
            raise RuntimeError(f"{self.checkpoint.name}, {self.dtype}: vectors differ, the least cosines are {found}")
        return found

    def in_one_run(self) -> tuple[float, list[int]]:
        """Returns the milliseconds per picture, and the peaks of memory after a quarter of all files and at the end."""
        peaks: list[int] = []

        def note(done: int, total: int) -> None:
            if not peaks and 4 * done >= total:
                peaks.append(Memory.peak_mib())

        library = Library.create(self.folder / "whole", model=self.model)
        Memory.forget()
        report = library.add(self.parts, progress=note)
        return 1000 * report.seconds / report.added, [*peaks, Memory.peak_mib()]

    def rows(self, every: int) -> Iterator[Row]:
        """Yields the rows of the comparison. every: the step between the parts that the sides take turns over."""
        cosines = self.cosines()
        sides = {
            LIBRARY: ("sentence_transformers", AS_IT_COMES),
            LIBRARY_BEST: ("sentence_transformers", self.best_batch("sentence_transformers")),
            LIMIT: ("tower_alone", self.best_batch("tower_alone")),
        }
        library = Library.create(self.folder / "library", model=self.model)
        ours: list[float] = []
        alone: list[float] = []
        theirs: dict[str, list[float]] = {name: [] for name in sides}
        for part in self.parts[::every]:
            report = library.add(part)
            assert not report.failed
            ours.append(1000 * report.seconds / report.added)
            alone.append(self.tower_alone(files([part])))
            for name, (side, batch) in sides.items():
                theirs[name].append(self.other(side, files([part]), batch))
        whole, peaks = self.in_one_run()
        sides[BARE], theirs[BARE] = sides[LIMIT], theirs[LIMIT]
        required = REQUIRED_IN_AVX2 if instruction_set().startswith("AVX2") else REQUIRED
        for name, (side, batch) in sides.items():
            own = alone if name == BARE else ours
            ratios = sorted(peer_ms / own_ms for peer_ms, own_ms in zip(theirs[name], own, strict=True))
            peer_ms, own_ms = statistics.median(theirs[name]), statistics.median(own)
            yield {
                "case": f"{self.checkpoint.name}, against {name}",
                "dtype": self.dtype,
                "ours_ms": round(own_ms, 2),
                "peer": name,
                "peer_ms": round(peer_ms, 2),
                "ratio": round(peer_ms / own_ms, 2),
                "required": required.get(name),
                "spread": [round(ratios[0], 2), round(ratios[-1], 2)],
                "least_cosine": cosines[side],
                "pictures": len(files(self.parts)),
                "peer_pictures": len(files(self.parts[::every])),
                "peer_batch": batch,
                "all_ms": round(whole, 2),
                "peak_mib_at_a_quarter": peaks[0],
                "peak_mib_at_the_end": peaks[-1],
            }


def _least_cosine(ours: Float[Tensor, "pictures dim"], theirs: Float[Tensor, "pictures dim"]) -> float:
    centred = [unit - unit.mean(dim=0) for unit in (ours, torch.nn.functional.normalize(theirs, dim=1))]
    return torch.cosine_similarity(*centred).min().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--only", default="", help="checkpoints and dtypes whose title holds this")
    parser.add_argument(
        "--small", action="store_true", help="tiny models and 200 pictures, to see that everything runs"
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = Measurements("bench_index", SEED, arguments.output)
    with tempfile.TemporaryDirectory() as name, Peer("_index_peer.py", Path(sys.executable)) as peer:
        native = str(native_dtype()).removeprefix("torch.")
        for dtype in dict.fromkeys((native, "float32")):
            if dtype == "float32":
                parts = draw_parts(Path(name) / dtype, FLOAT32_PARTS * FLOAT32_PART, FLOAT32_PART)
            else:
                parts = draw_parts(Path(name) / dtype, 2 * PART if arguments.small else arguments.pictures, PART)
            for checkpoint in checkpoints(arguments.small):
                if arguments.only not in f"{checkpoint.name}, {dtype}":
                    continue
                folder = Path(tempfile.mkdtemp(dir=name))
                every = 4 if len(parts) > 4 else 1
                for row in Comparison(checkpoint, dtype, parts, folder, peer).rows(every):
                    rows.add(row)


if __name__ == "__main__":
    main()
