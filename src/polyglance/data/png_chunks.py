"""Removes PNG chunks that decoding does not need: Pillow refuses a whole picture for large or damaged metadata."""

import os
import struct
import zlib
from io import BufferedReader, BytesIO
from typing import Final

PictureFile = BufferedReader | BytesIO

MAX_METADATA: Final = 2**20
"""The most bytes of profile, EXIF and texts together, unpacked; Pillow has the same bound for each of them."""

_PIXELS: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_METADATA: Final = frozenset({b"iCCP", b"eXIf", b"tEXt", b"zTXt", b"iTXt"})
_SIGNATURE: Final = 8


def without_needless_chunks(file: PictureFile) -> PictureFile:
    """Returns the picture without metadata that exceed `MAX_METADATA` or have a wrong checksum, and without later
    frames.

    The result is `file` itself if nothing is removed, otherwise a copy in memory. Everything after an invalid chunk is
    kept unchanged.
    """
    size = file.seek(0, os.SEEK_END)
    kept, budget, position = [(0, _SIGNATURE)], MAX_METADATA, _SIGNATURE
    dropped = False
    while position < size:
        file.seek(position)
        head = file.read(8)
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (size, b"")
        end = position + 12 + length
        if end > size or not kind.isalpha():
            kept.append((position, size))
            break
        needed = _unpacked(kind, file, length, budget)
        if needed <= budget:
            kept.append((position, end))
            budget -= needed
        else:
            dropped = True
        position = end
    file.seek(0)
    return BytesIO(b"".join(_part(file, start, end) for start, end in kept)) if dropped else file


def _part(file: PictureFile, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _unpacked(kind: bytes, file: PictureFile, length: int, budget: int) -> int:
    """Returns the bytes of metadata in a chunk, more than `budget` if it is not kept. The file is positioned at its
    data."""
    if kind in _PIXELS:
        return 0
    too_many = budget + 1
    if kind not in _METADATA or length > budget:
        return too_many
    data = file.read(length)
    if zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(file.read(4), "big"):
        return too_many
    keyword, _, rest = data.partition(b"\0")
    if kind == b"iTXt":
        packed = rest[2:].split(b"\0", 2)[-1] if rest[:2] == b"\1\0" else None
    else:
        packed = rest[1:] if kind in (b"iCCP", b"zTXt") else None
    if packed is None:
        return length
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(packed, budget + 1)
    except zlib.error:
        return too_many
    return len(unpacked) + len(keyword) if rest[:1] == b"\0" or kind == b"iTXt" else too_many
