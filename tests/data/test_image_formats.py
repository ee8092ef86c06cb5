"""Which format a file has, and what its reader keeps from the terminal."""

import io
import struct
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from PIL import Image

from polyglance.data.image_formats import AVIF, HEIC, JPEG, PNG, SUFFIXES, Format, format_of, without_warnings
from polyglance.errors import PictureError
from tests.shared_data import shared_data

CASES = shared_data() / "cases"


def test_common_suffixes_are_pictures() -> None:
    assert {".avif", ".jfif", ".jpe", ".hif", ".mpo", ".apng"} < SUFFIXES


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.avif", AVIF), ("avif_named.jpg", AVIF), ("a.hif", HEIC), ("a.jfif", JPEG), ("icc_gbr.png", PNG)],
)
def test_content_tells_the_format(name: str, expected: Format) -> None:
    with (CASES / name).open("rb") as file:
        assert format_of(file) is expected
        assert file.tell() == 0


@pytest.mark.parametrize(
    ("brands", "expected"),
    [((b"mif1", b"heic"), HEIC), ((b"mif1", b"avif"), AVIF), ((b"mif1", b"miaf", b"MA1B", b"avif"), AVIF)],
)
def test_a_brand_that_two_formats_share_is_told_by_the_others(brands: tuple[bytes, ...], expected: Format) -> None:
    box = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
    assert format_of(io.BytesIO((len(box) + 4).to_bytes(4, "big") + box + b"avif")) is expected


@pytest.mark.parametrize(
    "content", [b"", b"B", b"\x00\x00\x00\x18ftypisom" + bytes(16), b"RIFF\0\0\0\0WAVE", b"%PDF-1.7"]
)
def test_what_is_no_picture_is_said_with_the_formats(content: bytes) -> None:
    with pytest.raises(PictureError, match="not a picture in any of PNG, JPEG, WebP, GIF, TIFF, BMP, HEIC, AVIF"):
        format_of(io.BytesIO(content))


def test_warnings_are_dropped_in_this_thread_alone() -> None:
    inside, warned = threading.Event(), threading.Event()
    others: list[str] = []

    def other() -> None:
        inside.wait(10)
        try:
            warnings.warn("of another thread", stacklevel=1)
        except UserWarning as warning:  # as every warning here, unless something drops it
            others.append(str(warning))
        warned.set()

    thread = threading.Thread(target=other)
    thread.start()
    with without_warnings():
        warnings.warn("of the decoder", stacklevel=1)  # an error, were it not dropped
        inside.set()
        assert warned.wait(10)
        warnings.warn("of the decoder, once more", stacklevel=1)
    thread.join()
    assert others == ["of another thread"]
    with pytest.raises(UserWarning, match="afterwards"):
        warnings.warn("afterwards", stacklevel=1)


def test_a_filter_that_came_later_changes_nothing() -> None:
    with without_warnings():
        pass
    warnings.simplefilter("error")
    with pytest.raises(UserWarning, match="outside"):
        warnings.warn("outside", stacklevel=1)
    with without_warnings():
        warnings.warn("of the decoder", stacklevel=1)


def test_nothing_reaches_the_terminal(tmp_path: Path) -> None:
    """Of Pillow's warnings, what it logs, and what libtiff prints from C."""
    (tmp_path / "torn.tif").write_bytes(_deflated_tiff()[:-40])
    flipped = bytearray(_deflated_tiff())
    flipped[60:64] = b"\xff\xff\xff\xff"
    (tmp_path / "flipped.tif").write_bytes(flipped)
    samples = [struct.pack("<HHIHH", 277, 3, 1, number, 0) for number in (3, 900)]
    (tmp_path / "samples.tif").write_bytes(_deflated_tiff().replace(*samples))
    code = (
        "import sys\n"
        "from polyglance.data.images import decode\n"
        "from polyglance.errors import PictureError\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n        decode(path)\n"
        "    except PictureError as error:\n        print(error)\n"
    )
    paths = [*tmp_path.iterdir(), CASES / "two_values_le.jpg", CASES / "200mp.png"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) >= 3


def _deflated_tiff() -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(buffer, "TIFF", compression="tiff_adobe_deflate")
    return buffer.getvalue()
