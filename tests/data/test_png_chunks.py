"""Metadata that is large or damaged does not cost the picture."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from polyglance.data.images import decode
from polyglance.data.png_chunks import MAX_METADATA, without_needless_chunks
from tests.memory import allocating_at_most
from tests.shared_data import shared_data

CASES = shared_data() / "cases"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def with_chunks(*chunks: bytes, at_end: bool = False) -> bytes:
    """They stand behind the head, or before the end."""
    whole = picture()
    place = len(whole) - 12 if at_end else 33
    return whole[:place] + b"".join(chunks) + whole[place:]


LARGE = zlib.compress(bytes(MAX_METADATA + 1))
NEEDLESS = {
    "a large profile": chunk(b"iCCP", b"p\0\0" + LARGE),
    "a large packed text": chunk(b"zTXt", b"k\0\0" + LARGE),
    "a large packed international text": chunk(b"iTXt", b"k\0\1\0en\0k\0" + LARGE),
    "a large text": chunk(b"tEXt", b"k\0" + bytes(MAX_METADATA)),
    "a large EXIF": chunk(b"eXIf", bytes(MAX_METADATA + 1)),
    "texts that are large together": b"".join(
        chunk(b"zTXt", b"k%d\0\0" % number + zlib.compress(bytes(2**19))) for number in range(200)
    ),
    "a wrong checksum": chunk(b"tEXt", b"k\0text")[:-1] + b"\xff",
    "an unknown packing": chunk(b"iCCP", b"p\0\7" + zlib.compress(b"x")),
    "a packed text that is none": chunk(b"zTXt", b"k\0\0nothing packed"),
    "a text without an end of its name": chunk(b"zTXt", b"k"),
    "a gamma cut short": chunk(b"gAMA", b"\0"),
    "frames out of order": chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", struct.pack(">I", 7) + bytes(22)),
    "an animation twice": chunk(b"acTL", struct.pack(">II", 2, 0)) * 2,
}


@pytest.mark.parametrize("name", ["icc_2mb.png", "ztxt_2mb.png"])
def test_megabytes_of_metadata_are_passed_over(name: str) -> None:
    assert decode(CASES / name).size == (96, 64)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("needless", NEEDLESS)
def test_needless_metadata_is_passed_over(needless: str, at_end: bool) -> None:
    expected = np.asarray(decode(picture()))
    assert (np.asarray(decode(with_chunks(NEEDLESS[needless], at_end=at_end))) == expected).all()


def test_a_small_file_of_large_texts_takes_little_memory() -> None:
    packed = zlib.compress(bytes(100 * 2**20), 9)
    file = io.BytesIO(with_chunks(*[chunk(b"zTXt", b"k\0\0" + packed)] * 5))
    with allocating_at_most(4 * MAX_METADATA):
        kept = without_needless_chunks(file)
    assert kept.read() == picture()


def test_what_decoding_needs_is_left_in_place() -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("P", (9, 8)).save(buffer, "PNG", exif=exif, icc_profile=bytes(128), transparency=0)
    assert without_needless_chunks(buffer) is buffer
    assert buffer.tell() == 0


def test_the_orientation_stays_where_other_metadata_goes() -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (9, 8)).save(buffer, "PNG", exif=exif)
    whole = buffer.getvalue()
    assert decode(whole[:33] + NEEDLESS["a large profile"] + whole[33:]).size == (8, 9)
