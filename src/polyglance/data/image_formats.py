"""The picture formats, with their suffixes, their first bytes and their readers.

A format is recognized by the content of a file. Readers are Pillow's classes, called directly: `PIL.Image.open` would
register other formats for the whole process, and does not give the size of a picture that it refuses.
"""

import ctypes
import functools
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    _imaging,
)

from polyglance.data.png_chunks import PictureFile, without_needless_chunks
from polyglance.errors import PictureError

Reader = Callable[[PictureFile], ImageFile.ImageFile]


@dataclass(frozen=True)
class Format:
    """A picture format. suffixes: in lower case, with the dot. reader: opens a file without decoding its pixels."""

    name: str
    suffixes: tuple[str, ...]
    reader: Reader


class JpegFile(JpegImagePlugin.JpegImageFile):
    """A JPEG that may be truncated; after loading, `cut_short` tells whether it was.

    Only the first picture of an MPO is read.
    """

    cut_short = False

    def load_read(self, read_bytes: int) -> bytes:
        """Reads more of the file for Pillow.

        An end marker in place of missing bytes lets libjpeg finish; it fills the missing part with plain grey.
        """
        data = super().load_read(read_bytes)
        if data or self.cut_short:
            return data
        self.cut_short = True
        return b"\xff\xd9"


def _png(file: PictureFile) -> ImageFile.ImageFile:
    image = PngImagePlugin.PngImageFile(without_needless_chunks(file))
    _scale_transparency(image)
    return image


def _scale_transparency(image: ImageFile.ImageFile) -> None:
    """Scales the transparent value to 8 bits, as Pillow does with the pixels but not with this value."""
    value, packing = image.info.get("transparency"), image.tile[0].args
    if isinstance(value, int) and packing in ("L;2", "L;4"):
        image.info["transparency"] = value * (85 if packing == "L;2" else 17)
    elif isinstance(value, tuple) and packing == "RGB;16B":
        image.info["transparency"] = tuple(channel >> 8 for channel in value)


def _tiff(file: PictureFile) -> ImageFile.ImageFile:
    _silence_libtiff()
    return TiffImagePlugin.TiffImageFile(file)


def _heif(file: PictureFile) -> ImageFile.ImageFile:
    from pillow_heif import HeifImageFile

    return HeifImageFile(file)  # type: ignore[no-untyped-call]


PNG: Final = Format("PNG", (".png", ".apng"), _png)
JPEG: Final = Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), JpegFile)
WEBP: Final = Format("WebP", (".webp",), WebPImagePlugin.WebPImageFile)
GIF: Final = Format("GIF", (".gif",), GifImagePlugin.GifImageFile)
TIFF: Final = Format("TIFF", (".tif", ".tiff"), _tiff)
BMP: Final = Format("BMP", (".bmp",), BmpImagePlugin.BmpImageFile)
HEIC: Final = Format("HEIC", (".heic", ".heif", ".hif"), _heif)
AVIF: Final = Format("AVIF", (".avif",), AvifImagePlugin.AvifImageFile)
FORMATS: Final = (PNG, JPEG, WEBP, GIF, TIFF, BMP, HEIC, AVIF)
SUFFIXES: Final = frozenset(suffix for one in FORMATS for suffix in one.suffixes)
"""The suffixes of files in a folder that are taken for pictures."""

_STARTS: Final = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),
    (b"MM\0+", TIFF),
    (b"BM", BMP),
)
_HEIC_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})


def format_of(file: PictureFile) -> Format:
    """Returns the format of a file by its first bytes and rewinds the file. Raises PictureError if it is unknown."""
    head = file.read(256)
    file.seek(0)
    found = next((one for start, one in _STARTS if head.startswith(start)), None)
    if found is None and head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        found = WEBP
    if found is None and head[4:8] == b"ftyp":
        box = head[: int.from_bytes(head[:4], "big")]
        brands = {box[8:12], *(box[start : start + 4] for start in range(16, len(box), 4))}
        found = AVIF if brands & _AVIF_BRANDS else HEIC if brands & _HEIC_BRANDS else None
    if found is None:
        raise PictureError(f"not a picture in any of {', '.join(one.name for one in FORMATS)}")
    return found


_decoding: ContextVar[bool] = ContextVar("decoding", default=False)


class _WhileDecoding(type):
    def __subclasscheck__(cls, category: type) -> bool:
        return _decoding.get()


class _DecodersWarning(Warning, metaclass=_WhileDecoding):
    """Matches every warning in a thread that is decoding a picture, and none in other threads."""


@contextmanager
def without_warnings() -> Iterator[None]:
    """A context that suppresses warnings in this thread alone: Pillow warns about metadata that is not used here.

    `warnings.catch_warnings` would suppress those of other threads too, since filters belong to the process. Therefore
    one filter is installed permanently and checks which thread warns.
    """
    if not warnings.filters or warnings.filters[0][2] is not _DecodersWarning:
        warnings.simplefilter("ignore", _DecodersWarning)
    token = _decoding.set(True)
    try:
        yield
    finally:
        _decoding.reset(token)


logging.getLogger("PIL").addHandler(logging.NullHandler())  # without any handler, errors that it logs are printed


@functools.cache
def _silence_libtiff() -> None:
    """Stops Pillow's copy of libtiff, if it can be reached, from printing warnings and errors to the terminal.

    Pillow raises the errors that matter.
    """
    try:
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetWarningHandler(None)
        library.TIFFSetErrorHandler(None)
    except (AttributeError, OSError):
        return
