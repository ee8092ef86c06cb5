"""Region features of a detector, as stored by bottom-up attention (arXiv:1707.07998) and VinVL (arXiv:2101.00529).

Each picture has an npz file beside it with the same name except for the suffix: `features` (regions, width), `boxes`
(regions, 4), each x1, y1, x2, y2 in pixels, and `image_size` (width, height). Pickle is never read, and an array of
more than `MAX_BYTES` is refused.
"""

import math
import os
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from polyglance.errors import DataError, reason_of

PLACES: Final = 6
MAX_BYTES: Final = 16 * 2**20
"""The most bytes of an unpacked array: 1,000 regions of 2,048 features in float64. Detectors keep 10 to 100 regions."""

SUFFIX: Final = ".npz"
_SHAPES: Final = {"features": "(regions, width)", "boxes": "(regions, 4)", "image_size": "(2,)"}


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of a picture. features: of each region. boxes: x1, y1, x2, y2 in pixels. image_size: (width, height)
    in pixels."""

    features: Float[np.ndarray, "regions width"]
    boxes: Float[np.ndarray, "regions 4"]
    image_size: tuple[float, float]

    @property
    def width(self) -> int:
        return int(self.features.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the picture in whole pixels."""
        return round(self.image_size[0]), round(self.image_size[1])

    def with_places(self) -> Float[np.ndarray, "regions width_and_6"]:
        """Returns the features of each region followed by x1, y1, x2, y2, width and height relative to the picture's
        size (OSCAR, arXiv:2004.06165, section 3)."""
        corners = self.boxes / np.array([*self.image_size, *self.image_size], np.float32)
        return np.concatenate([self.features, corners, corners[:, 2:] - corners[:, :2]], axis=1)


def regions_beside(picture: str | os.PathLike[str]) -> Path:
    """Returns the path of a picture's file of regions."""
    return Path(picture).with_suffix(SUFFIX)


def read_regions(path: str | os.PathLike[str]) -> Regions:
    """Reads the regions of one picture.

    Raises DataError if an array is missing, is larger than `MAX_BYTES`, or is not what it should be.
    """
    try:
        with open(path, "rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise ValueError(f"expected an archive of {', '.join(_SHAPES)}")
            with zipfile.ZipFile(stream) as archive:
                members = {name: _member(path, archive, name) for name in _SHAPES}
                found = {name: _numbers(path, name, _array(archive.read(one))) for name, one in members.items()}
    except DataError:
        raise
    except Exception as error:  # torn or locked archives raise anything: zlib.error, RuntimeError, MemoryError ...
        raise DataError(
            f"{Path(path)} cannot be read as region features (npz, without pickle): {reason_of(error)}"
        ) from error
    features, boxes, size = found["features"], found["boxes"], found["image_size"]
    fits = features.ndim == 2 and features.size and boxes.shape == (len(features), 4) and size.shape == (2,)
    if not fits:
        told = ", ".join(f"{name} {shape}, got {found[name].shape}" for name, shape in _SHAPES.items())
        raise DataError(f"{path}: expected one region or more: {told}")
    if not (size > 0).all():
        raise DataError(f"{path}: expected an image_size above 0, got {size.tolist()}")
    return Regions(features, boxes, (float(size[0]), float(size[1])))


def _member(path: str | os.PathLike[str], archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Finds an array in the archive; at most its declared size is ever unpacked."""
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError as error:
        raise DataError(f"{path}: expected {', '.join(_SHAPES)} in it, {name} is missing") from error
    if member.file_size > MAX_BYTES:
        raise DataError(
            f"{path}: expected {name} to take at most {MAX_BYTES:,} bytes, got {member.file_size:,} "
            f"(from {member.compress_size:,} in the archive)"
        )
    return member


def _array(content: bytes) -> NDArray[np.generic]:
    """Parses an array. Raises ValueError, before numpy allocates memory, if the header declares more than
    follows it."""
    stream = BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    declared, there = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if declared > there:
        raise ValueError(f"an array of shape {shape} takes {declared:,} bytes, got {there:,}")
    stream.seek(0)
    array: NDArray[np.generic] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _numbers(path: str | os.PathLike[str], name: str, array: NDArray[np.generic]) -> NDArray[np.float32]:
    if array.dtype.kind not in "fiu":
        raise DataError(f"{path}: expected {name} to be numbers, got {array.dtype}")
    numbers = array.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise DataError(f"{path}: expected {name} to be finite, got one that is not")
    return numbers
