"""The other sides of `benchmarks.index`: sentence-transformers over files, and transformers' bare tower over tensors.

Reads one JSON command per line and answers with one JSON line: {"make": FOLDER, "dtype": D, "threads": N} loads both;
{"read": [PATH, ...], "side": S, "batch": B, "keep": FILE or null} reads pictures in batches and returns the seconds.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from transformers import AutoImageProcessor, AutoModel, logging


class Sides:
    def __init__(self, folder: str, dtype: torch.dtype) -> None:
        self.library = SentenceTransformer(folder, device="cpu", local_files_only=True, model_kwargs={"dtype": dtype})
        self.processor = AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True)
        self.tower = AutoModel.from_pretrained(folder, dtype=dtype, local_files_only=True).eval()

    def sentence_transformers(self, paths: Sequence[str], batch: int) -> tuple[float, torch.Tensor]:
        started = time.perf_counter()
        vectors = self.library.encode(list(paths), batch_size=batch, convert_to_tensor=True, show_progress_bar=False)
        return time.perf_counter() - started, vectors

    @torch.inference_mode()
    def tower_alone(self, paths: Sequence[str], batch: int) -> tuple[float, torch.Tensor]:
        """Times the tower over tensors that were prepared beforehand."""
        images = [Image.open(path).convert("RGB") for path in paths]
        ready = self.processor(images=images, return_tensors="pt")["pixel_values"].to(self.tower.dtype)
        started = time.perf_counter()
        vectors = [self.tower.get_image_features(pixel_values=some).pooler_output for some in ready.split(batch)]
        return time.perf_counter() - started, torch.cat(vectors)


def main() -> None:
    logging.set_verbosity_error()
    answers, sys.stdout = sys.stdout, sys.stderr
    sides: Sides
    for line in sys.stdin:
        answer = None
        match json.loads(line):
            case {"make": folder, "dtype": dtype, "threads": threads}:
                torch.set_num_threads(threads)
                sides = Sides(folder, getattr(torch, dtype))
            case {"read": paths, "side": side, "batch": batch, "keep": keep}:
                answer, vectors = getattr(sides, side)(paths, batch)
                if keep:
                    save_file({"vectors": vectors.float().contiguous()}, Path(keep))
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
