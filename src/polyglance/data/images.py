"""Finds picture files, hashes their content and decodes them safely.

Any fault of a file raises a `PictureError` with the reason as its message.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, ImageFile

from polyglance.data.colour_profiles import to_srgb
from polyglance.data.deep_colours import brightened, is_dark, load_lower_bytes, packing_of
from polyglance.data.image_formats import HEIC, JPEG, SUFFIXES, Format, JpegFile, format_of, without_warnings
from polyglance.data.pixels import to_rgb
from polyglance.data.png_chunks import PictureFile
from polyglance.errors import DataError, PictureError, reason_of

MAX_PIXELS: Final = 100_000_000
"""The most pixels of a picture; a larger one is refused before decoding, unless it can be read at reduced scale."""
MAX_REDUCED_PIXELS: Final = 256_000_000
"""The most pixels of a JPEG or HEIC, which is read at reduced scale beyond `MAX_PIXELS`."""

_JPEG_SCALE: Final = 4
_LOST_ROWS: Final = 1 / 16
_GREY_OF_LOST_ROWS: Final = (126, 129)
_FULL_SIZE: Final = "full_size"
_ORIENTATION_TAG: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS: Final = (5, 6, 7, 8)


@dataclass(frozen=True)
class FoundPictures:
    """The files found under some folders.

    paths: picture files, absolute, sorted, without duplicates. unreadable: folders that could not be listed, with the
    reasons; their content is unknown. passed_over: files that are not hidden and have none of `SUFFIXES`, sorted.
    """

    paths: list[str]
    unreadable: dict[str, str]
    passed_over: list[str]


def find_pictures(folders: Sequence[str | os.PathLike[str]]) -> FoundPictures:
    """Finds the files under `folders` with one of `SUFFIXES`; a folder may also be a single file with any suffix.

    Names that begin with a dot are skipped. Links to folders are followed, each real folder is listed once.
    Raises DataError for a folder that does not exist.
    """
    found: set[str] = set()
    unreadable: dict[str, str] = {}
    passed_over: set[str] = set()
    for folder in map(os.path.abspath, folders):
        if os.path.isdir(folder):
            for path in _walk(folder, unreadable):
                (found if has_suffix(path) else passed_over).add(path)
        elif os.path.exists(folder):
            found.add(folder)
        else:
            raise DataError(f"expected a folder of pictures, but {folder} does not exist")
    return FoundPictures(sorted(found), unreadable, sorted(passed_over - found))


def is_listed(path: str, folder: str) -> bool:
    """Whether `find_pictures` would list this file for this folder if it existed, judged by its name alone."""
    below = os.path.relpath(path, folder).split(os.sep)
    return has_suffix(path) and not any(name.startswith(".") for name in below)


def has_suffix(path: str) -> bool:
    """Whether a file's name ends with one of `SUFFIXES`, in any case."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


def _walk(root: str, unreadable: dict[str, str]) -> Iterator[str]:
    """Yields the files below `root` that are not hidden.

    Linked folders come last, so that a file that can be reached both ways is listed by its real path.
    """
    folders, links = [root], list[str]()
    seen: set[tuple[int, int]] = set()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            facts = os.stat(folder)
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            unreadable[folder] = _reason(error)
            continue
        if (facts.st_dev, facts.st_ino) in seen:
            continue
        seen.add((facts.st_dev, facts.st_ino))
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                (links if entry.is_symlink() else folders).append(entry.path)
            else:
                yield entry.path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def picture_stat(path: str | os.PathLike[str]) -> os.stat_result:
    """Returns the status of a file. Raises PictureError if it is not a file or empty."""
    try:
        facts = os.stat(path)
    except OSError as error:
        raise PictureError("a link to nothing" if os.path.islink(path) else _reason(error)) from error
    if not stat.S_ISREG(facts.st_mode):
        raise PictureError("expected a picture file, but it is a folder or a device")
    if facts.st_size == 0:
        raise PictureError("an empty file")
    return facts


def content_hash(path: str | os.PathLike[str]) -> str:
    """Returns a hash of the file's bytes (BLAKE2b, 128 bits) as 32 hexadecimal digits. Raises PictureError."""
    picture_stat(path)
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise PictureError(_reason(error)) from error


def decode(picture: str | os.PathLike[str] | bytes) -> Image.Image:
    """Decodes a picture to sRGB, upright according to its EXIF data, with transparency over white.

    Only the first frame of an animation is read. The scale is reduced for a picture with a colour profile to convert
    and more than 2,048 pixels on its shorter side, and for a JPEG or HEIC of more than `MAX_PIXELS`; `full_size`
    returns the original size. A truncated JPEG is read if at most a sixteenth of its rows is missing.
    `polyglance.data.pixels.to_rgb` describes the conversion of values of more than 8 bits.

    Decoding takes 5 to 10 bytes of memory per pixel, 13 for AVIF and 18 for WebP.

    picture: a path, or a file's bytes.

    Raises PictureError; only the header of a picture that is too large is read.
    """
    try:
        with BytesIO(picture) if isinstance(picture, bytes) else _file(picture) as file, without_warnings():
            return _decoded(file)
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError(_too_large(f"{int(re.findall(r'[0-9]+', str(error))[0]):,} pixels", MAX_PIXELS)) from error
    except MemoryError as error:
        raise PictureError("too large for the memory that is free") from error
    except Exception as error:  # decoders raise anything on torn bytes: struct.error, SyntaxError, IndexError ...
        reason = reason_of(error)
        if not re.search("[a-z]{3}", reason):  # the key of a KeyError
            reason = f"unknown value {reason}"
        raise PictureError(f"cut short or damaged: {reason}") from error


def full_size(image: Image.Image) -> tuple[int, int]:
    """Returns (width, height) of an upright picture that `decode` read, before any reduction."""
    width, height = image.info.get(_FULL_SIZE, image.size)
    return width, height


def as_rgb(image: Image.Image) -> Image.Image:
    """Converts a PIL image as `decode` does: sRGB, upright, transparency over white. Raises OSError if it is
    damaged."""
    with without_warnings():
        image.load()
        rgb = _rgb(image, image.info.get("icc_profile"))
    return _upright(rgb, _orientation(image), image.size)


def _file(path: str | os.PathLike[str]) -> PictureFile:
    picture_stat(path)
    try:
        return open(path, "rb")
    except OSError as error:
        raise PictureError(_reason(error)) from error


def _decoded(file: PictureFile) -> Image.Image:
    kind = format_of(file)
    with kind.reader(file) as image:
        width, height = image.size
        rgb = _rgb(_load(image, kind, file), image.info.get("icc_profile"))
        orientation = _orientation(image)
    del image  # its pixels are not needed while those of the result are turned
    return _upright(rgb, orientation, (width, height))


def _upright(rgb: Image.Image, orientation: int, size: tuple[int, int]) -> Image.Image:
    """Turns a picture upright. size: of the picture in the file."""
    width, height = size
    if orientation in _TURNS:
        rgb = rgb.transpose(_TURNS[orientation])
    rgb.info = {_FULL_SIZE: (height, width) if orientation in _SIDEWAYS else (width, height)}
    return rgb


def _rgb(image: Image.Image, profile: object) -> Image.Image:
    if image.mode == "CMYK" and (converted := to_srgb(image, profile)):
        return converted
    rgb = to_rgb(image)
    return rgb if image.mode in ("I", "F") else to_srgb(rgb, profile) or rgb


def _load(image: ImageFile.ImageFile, kind: Format, file: PictureFile) -> Image.Image:
    """Decodes the pixels of a picture, at reduced scale if there are too many."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        reducible = kind is HEIC or (kind is JPEG and "progressive" not in image.info)  # which libjpeg keeps as a whole
        most = MAX_REDUCED_PIXELS if reducible else MAX_PIXELS
        if width * height > most:
            raise PictureError(_too_large(f"{width:,} x {height:,} pixels", most))
        if kind is HEIC:
            return reduced_heic(file, image.info)
        image.draft(None, (width // _JPEG_SCALE, height // _JPEG_SCALE))
    packing = packing_of(image)
    image.load()
    if isinstance(image, JpegFile) and image.cut_short:
        _require_rows(image)
    if packing and is_dark(image) and "transparency" not in image.info:
        file.seek(0)
        with kind.reader(file) as other_half:
            load_lower_bytes(other_half, packing)
            return brightened(image, other_half)
    return image


def reduced_heic(file: PictureFile, info: dict[str | tuple[int, int], object]) -> Image.Image:
    """Decodes the first picture in a HEIC file at half its width and height; Pillow never holds the full picture.

    info: the metadata of the result.
    """
    from pillow_heif import open_heif

    heic = open_heif(file, remove_stride=False)
    data, stride, (width, height) = memoryview(heic.data), heic.stride, heic.size
    raw = (heic.mode, stride)
    half = Image.new(heic.mode, ((width + 1) // 2, (height + 1) // 2))
    for top in range(0, height, 512):
        rows = min(512, height - top)
        part = bytes(data[top * stride : (top + rows) * stride])
        band = Image.frombytes(heic.mode, (width, rows), part, "raw", raw)
        half.paste(band.reduce(2), (0, top // 2))
    half.info = dict(info)
    return half


def _require_rows(image: JpegFile) -> None:
    """Raises PictureError if too many rows of a JPEG have the grey that libjpeg substitutes for missing bytes."""
    width, height = image.size
    bottom = np.asarray(image.crop((0, height - int(height * _LOST_ROWS) - 1, width, height)))
    if _GREY_OF_LOST_ROWS[0] <= bottom.min() and bottom.max() <= _GREY_OF_LOST_ROWS[1]:
        raise PictureError("cut short or damaged: more than a sixteenth of its rows is missing")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # metadata that cannot be read turns nothing
        return 1


def _too_large(what: str, most: int) -> str:
    return f"too large: {what}, at most {most // 1_000_000} million are read"


def _reason(error: OSError) -> str:
    return (error.strerror or reason_of(error)).lower()
