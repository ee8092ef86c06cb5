"""Picture files and texts as a model reads them, one or many."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeGuard

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from polyglance.data.images import decode
from polyglance.data.lines import named
from polyglance.data.regions import read_regions, regions_beside
from polyglance.errors import ConfigurationError, DataError, PictureError
from polyglance.models.protocol import ImageBatch, JointModel
from polyglance.models.single_stream import SingleStreamModel
from polyglance.nn.states import TokenStates

PICTURES: Final = 32
TEXTS: Final = 256
VECTORS: Final = 512

Progress = Callable[[int, int], None]
"""Called with how many are done, and of how many."""


Picture = NDArray[np.uint8] | NDArray[np.float32]
"""One picture before it stands in an `ImageBatch`: pixels, or what a detector saw in it."""


def reads_regions(model: JointModel) -> TypeGuard[SingleStreamModel]:
    """Whether a picture comes to the model as the file beside it that a detector left, and not as its pixels."""
    return isinstance(model, SingleStreamModel) and model.config.sight == "regions"


def open_picture(model: JointModel, path: str | os.PathLike[str]) -> tuple[tuple[int, int], Picture]:
    """(width and height in pixels, the picture as the model wants it); safe in worker threads.

    Raises PictureError, also for a picture that is no more than odd to the model: one never ends a run.
    """
    if reads_regions(model):
        try:
            regions = read_regions(regions_beside(path))
            return regions.size, model.preprocess_regions(regions)
        except (DataError, ConfigurationError) as error:
            raise PictureError(f"of what a detector saw in it: {error}") from error
    image = decode(path)
    try:
        return image.size, model.preprocess(image)
    except Exception as error:
        width, height = image.size
        raise PictureError(f"{model.name} cannot take a picture of {width} x {height}: {error}") from error


def file_facts(model: JointModel, path: Path) -> tuple[int, int]:
    """(size, time of the last change) of the file that `open_picture` reads; zeros where it cannot be looked at."""
    try:
        found = (regions_beside(path) if reads_regions(model) else path).stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def image_batch(pictures: Sequence[Picture]) -> ImageBatch:
    """Side by side; regions are padded to the most."""
    if pictures[0].ndim == 2:
        regions = [torch.from_numpy(picture) for picture in pictures]
        return ImageBatch(pad_sequence(regions, batch_first=True, padding_value=torch.nan))
    return ImageBatch(torch.from_numpy(np.stack(pictures)))


def open_pictures(model: JointModel, paths: Sequence[Path]) -> ImageBatch:
    """Raises DataError that names all that cannot be read."""
    failed: list[str] = []
    pictures = _opened(model, paths, failed)
    _require_none(failed)
    return image_batch(pictures)


def read_pictures(model: JointModel, paths: Sequence[Path], progress: Progress | None = None) -> TokenStates:
    """The token states of picture files, a row each. Raises DataError that names all that cannot be read."""
    parts: list[TokenStates] = []
    failed: list[str] = []
    for start in range(0, len(paths), PICTURES):
        pictures = _opened(model, paths[start : start + PICTURES], failed)
        if not failed:
            parts.append(model.read_images(image_batch(pictures)))
        if progress:
            progress(min(start + PICTURES, len(paths)), len(paths))
    _require_none(failed)
    return together(parts)


def _opened(model: JointModel, paths: Sequence[Path], failed: list[str]) -> list[Picture]:
    """Those that can be read; the others go to `failed`."""
    pictures = []
    for path in paths:
        try:
            pictures.append(open_picture(model, path)[1])
        except PictureError as error:
            failed.append(f"{path}: {error}")
    return pictures


def _require_none(failed: Sequence[str]) -> None:
    if failed:
        raise DataError(f"{len(failed)} pictures cannot be read: {named(failed)}")


def read_texts(model: JointModel, texts: Sequence[str], languages: Sequence[str] = ()) -> TokenStates:
    """The states of texts, a row each, padded to the longest. languages: as of `JointModel.tokenize`."""
    parts = [slice(i, i + TEXTS) for i in range(0, len(texts), TEXTS)]
    return together([model.read_text(model.tokenize(texts[part], languages[part])) for part in parts])


def embed_all(model: JointModel, states: TokenStates) -> Float[Tensor, "rows dim"]:
    """The vectors of many states."""
    return torch.cat([model.embed(states[i : i + VECTORS]) for i in range(0, len(states), VECTORS)])


def together(parts: Sequence[TokenStates]) -> TokenStates:
    """The rows of all, one below the other, padded to the longest."""
    tokens = max(part.mask.shape[1] for part in parts)
    hidden = torch.cat([F.pad(part.hidden, (0, 0, 0, tokens - part.mask.shape[1])) for part in parts])
    mask = torch.cat([F.pad(part.mask, (0, tokens - part.mask.shape[1])) for part in parts])
    vectors = [part.vector for part in parts if part.vector is not None]
    return TokenStates(hidden, mask, parts[0].modality, torch.cat(vectors) if vectors else None)
