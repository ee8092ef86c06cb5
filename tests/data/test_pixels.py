"""Pixels of more than 8 bits become visible, and transparency lies over white."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from polyglance.data.images import decode
from tests.shared_data import shared_data

CASES = shared_data() / "cases"


def tiff(values: NDArray[np.generic], **tags: str | int) -> bytes:
    """tags: nodata, white."""
    facts, buffer = ImageFileDirectory_v2(), io.BytesIO()
    if "nodata" in tags:
        facts[42113] = str(tags["nodata"])
    if "white" in tags:
        facts[281] = int(tags["white"])
    Image.fromarray(values).save(buffer, "TIFF", tiffinfo=facts)
    return buffer.getvalue()


def png(values: NDArray[np.generic], colour: int, depth: int, transparent: bytes | None) -> bytes:
    """values: (rows, bytes a row), packed."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows, width = len(values), values.shape[1] * 8 // (depth * {0: 1, 2: 3, 6: 4}[colour])
    head = struct.pack(">IIBBBBB", width, rows, depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in values))
    chunks = [chunk(b"IHDR", head), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    if transparent is not None:
        chunks.insert(1, chunk(b"tRNS", transparent))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def deep_png(values: NDArray[np.uint16], colour: int) -> bytes:
    """values: (rows, columns, channels)."""
    packed = values.astype(">u2").reshape(len(values), -1).view(np.uint8)
    return png(packed, colour, 16, None)


def deep_tiff(values: NDArray[np.uint16], order: str) -> bytes:
    """values: (rows, columns, 3). order: "<" or ">", of the bytes."""
    rows, columns, _ = values.shape
    shorts = {258: (16, 16, 16), 259: (1,), 262: (2,), 277: (3,), 278: (rows,), 284: (1,)}
    facts: dict[int, tuple[int, ...]] = {256: (columns,), 257: (rows,), 273: (8,), 279: (values.nbytes,), **shorts}
    pixels = values.astype(order + "u2").tobytes()
    bits = struct.pack(order + "3H", 16, 16, 16)
    place = 8 + len(pixels)
    body = struct.pack(order + "H", len(facts))
    for tag, value in sorted(facts.items()):
        stored = (place,) if tag == 258 else value
        body += struct.pack(order + "HHI", tag, 3 if tag == 258 else 4, len(value)) + struct.pack(order + "I", *stored)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", place + len(bits)) + pixels + bits + body + bytes(4)


def levels(picture: bytes | Path) -> list[int]:
    """Of the first row."""
    return [int(pixel[0]) for pixel in np.asarray(decode(picture))[0]]


def test_the_transparent_value_of_sixteen_bits_is_white_and_the_others_as_they_were() -> None:
    rgb = np.asarray(decode(CASES / "gray16_trns.png"))
    assert sorted({int(level) for level in rgb.ravel()}) == [117, 255]


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_one_value_of_grey_is_transparent_at_every_depth(depth: int) -> None:
    """Black is the transparent value, the greatest is white, one between stays."""
    most = 2**depth - 1
    bits = "".join(f"{value:0{depth}b}" for value in (0, most // 2, most, most, 0, most, most, most))
    packed = np.frombuffer(int(bits, 2).to_bytes(len(bits) // 8, "big"), np.uint8)[None]
    between = 255 if depth == 1 else (most // 2) * 255 // most
    assert levels(png(packed, 0, depth, b"\0\0")) == [255, between, *[255] * 6]


@pytest.mark.parametrize(("depth", "shape"), [(8, "B"), (16, "H")])
def test_one_colour_is_transparent_at_every_depth(depth: int, shape: str) -> None:
    red, green = (2**depth - 1, 0, 0), (0, 2**depth - 1, 0)
    row = np.frombuffer(struct.pack(f">6{shape}", *red, *green), np.uint8)[None]
    rgb = decode(png(row, 2, depth, struct.pack(">3H", *red)))
    assert [rgb.getpixel((column, 0)) for column in range(2)] == [(255, 255, 255), (0, 255, 0)]


def test_twelve_bits_in_sixteen_are_visible() -> None:
    rgb = np.asarray(decode(CASES / "gray12in16.png"))
    assert (rgb.min(), rgb.max()) == (0, 255)
    assert len(np.unique(rgb)) == 256


@pytest.mark.parametrize(
    ("values", "tags", "expected"),
    [
        ([0, 2048, 4095], {}, [0, 128, 255]),  # 12 bits
        ([0, 512, 1023], {}, [0, 128, 255]),  # 10 bits
        ([0, 1], {}, [0, 255]),  # a mask
        ([0, 0], {}, [0, 0]),
        ([0, 4096], {}, [0, 16]),  # 16 bits, dark
        ([0, 8192, 16383], {"white": 16383}, [0, 128, 255]),  # 14 bits, as the file says
        ([0, 20000], {"white": 16383}, [0, 78]),  # which is not believed against the values
        ([0, 2048, 4095, 65535], {"nodata": 65535}, [0, 128, 255, 255]),
    ],
)
def test_white_of_sixteen_bits(values: list[int], tags: dict[str, int], expected: list[int]) -> None:
    assert levels(tiff(np.array([values], np.uint16), **tags)) == expected


COLOURS = np.array([[[4095, 0, 0], [0, 2048, 0], [0, 0, 1024], [0, 0, 0]]], np.uint16)


@pytest.mark.parametrize("kind", ["PNG", "TIFF <", "TIFF >"])
def test_twelve_bits_in_sixteen_are_visible_in_colour(kind: str) -> None:
    stored = deep_png(COLOURS, 2) if kind == "PNG" else deep_tiff(COLOURS, kind[-1])
    assert np.asarray(decode(stored))[0].tolist() == [[255, 0, 0], [0, 128, 0], [0, 0, 64], [0, 0, 0]]
    stored = deep_png(COLOURS * 16, 2) if kind == "PNG" else deep_tiff(COLOURS * 16, kind[-1])
    assert np.asarray(decode(stored))[0].tolist() == [[255, 0, 0], [0, 128, 0], [0, 0, 64], [0, 0, 0]]


def test_twelve_bits_in_sixteen_keep_their_transparency() -> None:
    alpha = np.array([[[65535], [65535], [0], [0]]], np.uint16)
    stored = deep_png(np.concatenate([COLOURS, alpha], axis=-1), 6)
    assert np.asarray(decode(stored))[0].tolist() == [[255, 0, 0], [0, 128, 0], [255] * 3, [255] * 3]


def test_an_infinite_value_leaves_the_others_as_they_are() -> None:
    rgb = np.asarray(decode(CASES / "float_inf.tif"))
    assert len(np.unique(rgb)) > 200


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan, np.finfo(np.float32).max, np.finfo(np.float32).min])
def test_floats_are_stretched_over_the_finite_ones(odd: float) -> None:
    expected = 0 if odd < 0 else 255
    assert levels(tiff(np.array([[-1, 0, 1, odd]], np.float32))) == [0, 128, 255, expected]


@pytest.mark.parametrize("nodata", ["-9999", "-9999.0 ", "-3.4028234663852886e+38", "1e39", "nan"])
def test_nodata_is_white_and_counts_for_nothing(nodata: str) -> None:
    with np.errstate(over="ignore"):
        values = np.array([[0, 1, np.float32(nodata)]], np.float32)
    assert levels(tiff(values, nodata=nodata)) == [0, 255, 255]


def test_a_nodata_tag_that_is_no_number_is_ignored() -> None:
    assert levels(tiff(np.array([[0, 1]], np.float32), nodata="none")) == [0, 255]


@pytest.mark.parametrize("value", [np.nan, np.inf, 3.5])
def test_floats_that_are_all_the_same(value: float) -> None:
    assert len(set(levels(tiff(np.full((4, 4), value, np.float32))))) == 1


def test_integers_of_thirty_two_bits_are_stretched_around_nodata() -> None:
    assert levels(tiff(np.array([[-5, 0, 5, -32768]], np.int32), nodata=-32768)) == [0, 128, 255, 255]


def test_bands_of_rows_make_one_picture() -> None:
    """More pixels than one band has."""
    ramp = np.linspace(0, 65535, 1100, dtype=np.uint16)[:, None].repeat(1100, axis=1)
    assert (np.asarray(decode(tiff(ramp)))[..., 0] == ramp >> 8).all()
    layered = Image.fromarray(np.stack([ramp >> 8, ramp >> 8], axis=-1).astype(np.uint8), "LA").convert("RGBA")
    buffer = io.BytesIO()
    layered.save(buffer, "PNG", compress_level=1)
    whole = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")
    assert (np.asarray(decode(buffer.getvalue())) == np.asarray(whole)).all()


def test_a_band_takes_little_memory_beside_the_picture(tmp_path: Path) -> None:
    """A float TIFF of 16 megapixels: 4 bytes a pixel are the file's, 4 the result's."""
    import subprocess
    import sys

    path = tmp_path / "x.tif"
    path.write_bytes(tiff(np.arange(16_000_000, dtype=np.float32).reshape(4000, 4000)))
    code = (
        "import resource, sys\n"
        "from polyglance.data.images import decode\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "decode(sys.argv[1])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 10 * 16_000_000
