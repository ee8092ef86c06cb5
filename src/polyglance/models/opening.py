"""Picture files opened as a model wants them: pixels that its preprocessor made, or what a detector saw."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence

from polyglance.data.images import decode, full_size
from polyglance.data.lines import named
from polyglance.data.regions import read_regions, regions_beside
from polyglance.errors import ConfigurationError, DataError, PictureError
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.protocol import ImageBatch, JointModel

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
            raise PictureError(str(error)) from error
    image = decode(path)
    try:
        return full_size(image), model.preprocess(image)
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
    pictures, failed = try_pictures(model, paths)
    require_none(failed)
    return image_batch(pictures)


def try_pictures(model: JointModel, paths: Sequence[Path]) -> tuple[list[Picture], dict[Path, str]]:
    """(the pictures that can be read, in their order; the reason for each of the others)."""
    pictures: list[Picture] = []
    failed: dict[Path, str] = {}
    for path in paths:
        try:
            pictures.append(open_picture(model, path)[1])
        except PictureError as error:
            failed[path] = str(error)
    return pictures, failed


def require_none(failed: Mapping[Path, str]) -> None:
    """Raises DataError that names all that cannot be read, where there are any."""
    if failed:
        shown = named([f"{path}: {reason}" for path, reason in failed.items()])
        raise DataError(f"{len(failed)} pictures cannot be read: {shown}")
