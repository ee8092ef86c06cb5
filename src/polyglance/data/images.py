"""Picture files: finding them, telling them apart by content, and decoding one without harm.

Whatever is wrong with a file ends in one `PictureError` whose message is the reason alone.
"""

import hashlib
import os
import stat
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from polyglance.errors import DataError, PictureError, reason_of

SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".heic", ".heif"},
)
MAX_PIXELS: Final = 100_000_000
"""A picture that declares more is refused before anything of it is decoded."""

_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
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
_opening = threading.Lock()


@dataclass(frozen=True)
class FoundPictures:
    """What lies under some folders.

    paths: picture files, absolute, sorted, each once. unreadable: folders that could not be listed, with the reason;
    what they hold is not known. passed_over: files without one of `SUFFIXES`, sorted; hidden ones are not among them.
    """

    paths: list[str]
    unreadable: dict[str, str]
    passed_over: list[str]


def find_pictures(folders: Sequence[str | os.PathLike[str]]) -> FoundPictures:
    """Every file under `folders` with one of `SUFFIXES`; a folder may also be one file, whatever its suffix.

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
    """Whether `find_pictures` would name this file for this folder, if it were there: only by its name."""
    below = os.path.relpath(path, folder).split(os.sep)
    return has_suffix(path) and not any(name.startswith(".") for name in below)


def has_suffix(path: str) -> bool:
    """Whether a file's name ends with one of `SUFFIXES`, in any case."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


def _walk(root: str, unreadable: dict[str, str]) -> Iterator[str]:
    """Files below `root` that are not hidden.

    Linked folders come last, so that a file reachable both ways is named by its real place.
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
    """Size, time and kind of a file that may be a picture. Raises PictureError when it is no file or holds nothing."""
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
    """32 hexadecimal digits that name the file's bytes (BLAKE2b, 128 bits). Raises PictureError."""
    picture_stat(path)
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise PictureError(_reason(error)) from error


def decode(picture: str | os.PathLike[str] | bytes) -> Image.Image:
    """The picture as RGB, upright as its EXIF says, transparency over white, of an animation the first frame.

    picture: its file, or the bytes of one. Raises PictureError; a picture that declares more than `MAX_PIXELS` costs no
    more than its header.
    """
    if not isinstance(picture, bytes):
        picture_stat(picture)
    try:
        with _open(BytesIO(picture) if isinstance(picture, bytes) else Path(picture)) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise PictureError(_too_large(f"{width:,} x {height:,} pixels"))
            image.load()
            return _upright(_to_rgb(image), image)
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError(f"not a picture in any of {', '.join(_FORMATS)}, HEIC") from error
    except Image.DecompressionBombError as error:
        raise PictureError(_too_large("far more pixels")) from error
    except MemoryError as error:
        raise PictureError("too large for the memory that is free") from error
    except Exception as error:  # decoders raise anything on torn bytes: struct.error, SyntaxError, IndexError ...
        raise PictureError(f"cut short or damaged: {reason_of(error)}") from error


def _open(source: Path | BytesIO) -> Image.Image:
    """The picture with its header read. Only formats named here are tried, whatever else Pillow could open."""
    if isinstance(source, BytesIO):
        head = source.getbuffer()[:12].tobytes()
    else:
        with source.open("rb") as file:
            head = file.read(12)
    formats: tuple[str, ...] = _FORMATS
    if head[4:8] == b"ftyp":
        from pillow_heif import register_heif_opener

        register_heif_opener()
        formats = ("HEIF",)
    with _opening, warnings.catch_warnings():  # the filters are global: one thread at a time
        warnings.simplefilter("ignore")  # Pillow warns of sizes below our own limit, and of metadata nobody asked for
        return Image.open(source, formats=formats)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = _stretched(image)
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return image.convert("RGB")


def _stretched(image: Image.Image) -> Image.Image:
    """32-bit values have no agreed white: darkest to black, brightest to white."""
    values = np.nan_to_num(np.asarray(image, np.float64))
    low, high = values.min(), values.max()
    return Image.fromarray(((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8))


def _upright(image: Image.Image, source: Image.Image) -> Image.Image:
    try:
        turn = _TURNS.get(source.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # metadata that cannot be read turns nothing
        turn = None
    return image if turn is None else image.transpose(turn)


def _too_large(what: str) -> str:
    return f"too large: {what}, at most {MAX_PIXELS // 1_000_000} million are read"


def _reason(error: OSError) -> str:
    return (error.strerror or reason_of(error)).lower()
