"""Draws the training pictures once into a file, which any number of runs may map into memory."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from polyglance import atomic
from polyglance.data.gallery import GalleryEntry, gallery_folder
from polyglance.data.images import decode
from polyglance.scenes.render import render
from polyglance.scenes.sampling import IMAGE_SIZE, sample_scene
from polyglance.types import Progress

T, R = TypeVar("T"), TypeVar("R")
SHAPE = (3, IMAGE_SIZE, IMAGE_SIZE)
CHUNK = 250


def draw_once(
    items: Sequence[T],
    draw: Callable[[Sequence[T]], np.ndarray[tuple[int, ...], np.dtype[np.uint8]]],
    path: Path,
    progress: Progress | None = None,
) -> UInt8[Tensor, "n 3 h w"]:
    """Maps pictures from a file and draws them there first, in several processes, if the file is missing.

    items: what is drawn, a picture each. draw: returns the pictures of some items, (items, 3, height, width). progress:
    called with the number of pictures drawn and of all pictures.
    """
    if not path.exists():
        chunks = [items[i : i + CHUNK] for i in range(0, len(items), CHUNK)]
        with atomic.whole(path) as draft:
            pictures = np.lib.format.open_memmap(draft, "w+", np.uint8, (len(items), *SHAPE))
            for done, chunk in enumerate(_in_processes(draw, chunks)):
                pictures[done * CHUNK : done * CHUNK + len(chunk)] = chunk
                if progress:
                    progress(min((done + 1) * CHUNK, len(items)), len(items))
            pictures.flush()
    return torch.from_numpy(np.load(path, mmap_mode="r+", allow_pickle=False))


def _in_processes(make: Callable[[Sequence[T]], R], chunks: Sequence[Sequence[T]]) -> Iterator[R]:
    """Yields what `make` makes of each chunk, in order. Several chunks are spread over processes."""
    if len(chunks) == 1:
        yield make(chunks[0])
        return
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        yield from pool.map(make, chunks)


def draw_scenes(seeds: range, path: Path, progress: Progress | None = None) -> UInt8[Tensor, "n 3 h w"]:
    """Maps the pictures of scenes from a file, as `draw_once` does. seeds: of the scenes."""
    return draw_once(seeds, _draw, path, progress)


def _draw(seeds: Sequence[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    folder = gallery_folder()
    pictures = (np.asarray(render(sample_scene(seed), folder)) for seed in seeds)
    return np.stack([picture.transpose(2, 0, 1) for picture in pictures])


def gallery_pixels(
    preprocess: Callable[[Image.Image], np.ndarray[tuple[int, ...], np.dtype[np.uint8]]],
    entries: Sequence[GalleryEntry],
) -> Tensor:
    """Returns pictures of the emoji gallery, preprocessed for a model: (entries, 3, height, width), uint8."""
    return torch.from_numpy(np.stack([preprocess(decode(entry.path)) for entry in entries]))
