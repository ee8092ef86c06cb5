import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polyglance.data.regions import MAX_BYTES, read_regions
from polyglance.errors import DataError
from tests.memory import allocating_at_most

GOOD: dict[str, Any] = {
    "features": np.arange(6.0).reshape(2, 3),
    "boxes": np.array([[0, 0, 50, 100], [100, 50, 200, 100]]),
    "image_size": np.array([200, 100]),
}


def write(path: Path, **changed: Any) -> Path:
    np.savez(path, **{name: value for name, value in (GOOD | changed).items() if value is not None})
    return path


def test_a_file_is_read_and_boxes_become_shares_of_the_picture(tmp_path: Path) -> None:
    regions = read_regions(write(tmp_path / "a.npz"))
    assert regions.width == 3
    expected = [[0, 1, 2, 0, 0, 0.25, 1, 0.25, 1], [3, 4, 5, 0.5, 0.5, 1, 1, 0.5, 0.5]]
    np.testing.assert_allclose(regions.with_places(), expected, rtol=1e-6)


def test_half_precision_and_one_region_are_taken(tmp_path: Path) -> None:
    one = {"features": GOOD["features"][:1].astype(np.float16), "boxes": GOOD["boxes"][:1].astype(np.float16)}
    assert read_regions(write(tmp_path / "a.npz", **one)).with_places().shape == (1, 9)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"boxes": None}, "boxes is missing"),
        ({"boxes": GOOD["boxes"][:1]}, r"boxes \(regions, 4\), got \(1, 4\)"),
        ({"features": np.zeros((0, 3)), "boxes": np.zeros((0, 4))}, "one region or more"),
        ({"features": np.zeros(3)}, r"got \(3,\)"),
        ({"image_size": np.array([200, 0])}, "above 0"),
        ({"image_size": np.array(["a", "b"])}, "expected image_size to be numbers"),
        ({"features": np.full((2, 3), np.nan)}, "expected features to be finite"),
        ({"features": np.array([{}, {}], dtype=object)}, "cannot be read as region features"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError, match=reason) as raised:
        read_regions(write(tmp_path / "a.npz", **changed))
    assert "a.npz" in str(raised.value)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **GOOD)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    name, extra = struct.unpack_from("<HH", content, 26)
    content[30 + name + extra] = 0xFF  # no such kind of block in what is compressed
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as region features"):
        read_regions(tmp_path / "a.npz")


def test_files_that_are_no_npz_are_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.npz").read_bytes()
    np.save(tmp_path / "single.npy", np.zeros(3))
    for name, content in {"torn.npz": whole[:200], "text.npz": b"no", "empty.npz": b""}.items():
        (tmp_path / name).write_bytes(content)
    for name in ("torn.npz", "text.npz", "empty.npz", "missing.npz", "single.npy"):
        with pytest.raises(DataError, match="cannot be read as region features"):
            read_regions(tmp_path / name)


def test_arrays_that_unpack_to_too_much_are_refused_unread(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **(GOOD | {"features": np.zeros((2, MAX_BYTES // 8), np.float32)}))
    told = r"features to take at most 16,777,216 bytes, got 16,777,\d+ \(from \d\d,\d+ in the archive\)"
    with allocating_at_most(2**20), pytest.raises(DataError, match=told):
        read_regions(tmp_path / "a.npz")


@pytest.mark.parametrize("shape", [(2**20, 2**20), (2**62, 2**62), (-1, 3)])
def test_a_header_that_declares_more_than_there_is_makes_no_room_for_it(tmp_path: Path, shape: tuple[int, int]) -> None:
    write(tmp_path / "good.npz")
    with zipfile.ZipFile(tmp_path / "good.npz") as good, zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name in good.namelist():
            content = good.read(name)
            if name == "features.npy":
                header = str({"descr": "<f4", "fortran_order": False, "shape": shape}).encode() + b"\n"
                content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(24)
            archive.writestr(name, content)
    with allocating_at_most(2**20), pytest.raises(DataError, match="cannot be read as region features"):
        read_regions(tmp_path / "a.npz")


def test_other_arrays_in_the_archive_are_left_alone(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **GOOD, other=np.zeros(MAX_BYTES, np.uint8))
    assert read_regions(tmp_path / "a.npz").width == 3
