"""Colours are what the profile in a picture says."""

import io
import struct
from itertools import product

import numpy as np
import pytest
from PIL import Image, ImageCms

from polyglance.data.colour_profiles import MAX_PROFILE, to_srgb
from polyglance.data.images import decode, full_size
from tests.shared_data import shared_data

CASES = shared_data() / "cases"


def swapping_profile() -> bytes:
    with Image.open(CASES / "icc_gbr.png") as image:
        return bytes(image.info["icc_profile"])


def made_profile(colours: bytes, space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile, version 2. colours, space: four letters, of the picture and of what the profile maps them to."""
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 1) + bytes(79), b"wtpt": xyz(0.9642, 1, 0.8249), **tags}
    table, body, place = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sII", name, place + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", place + len(body), bytes(4), 0x02400000, b"prtr", colours, space)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + xyz(0.9642, 1, 0.8249)[8:]
    return head + bytes(128 - len(head)) + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def grey_profile(gamma: float) -> bytes:
    return made_profile(b"GRAY", b"XYZ ", {b"kTRC": b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))})


def ink_profile() -> bytes:
    """Of inks that are all grey: full cyan is as light as half of black."""
    line, matrix = bytes(range(256)), struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lightness = [255 if not any(inks) else 128 if inks == (1, 0, 0, 0) else 0 for inks in product((0, 1), repeat=4)]
    grid = b"".join(bytes([value, 128, 128]) for value in lightness)
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + line * 4 + grid + line * 3
    return made_profile(b"CMYK", b"Lab ", {b"A2B0": lut})


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_a_profile_that_swaps_channels_is_applied() -> None:
    """It calls itself sRGB, which it is not."""
    plain, swapped = (np.asarray(decode(CASES / name), np.int16) for name in ("icc_2mb.png", "icc_gbr.png"))
    assert np.abs(plain - swapped).max() <= 2
    with Image.open(CASES / "icc_gbr.png") as stored:
        assert np.abs(np.asarray(stored.convert("RGB"), np.int16) - plain).max() > 100


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_profiles_of_every_format_are_applied(kind: str) -> None:
    grey, red = Image.new("RGB", (16, 16), (120, 120, 120)), Image.new("RGB", (16, 16), (230, 20, 20))
    red_as_said = decode(saved(red, kind, icc_profile=swapping_profile())).getpixel((8, 8))
    assert isinstance(red_as_said, tuple)
    assert red_as_said[0] < 60
    assert max(red_as_said) > 180
    assert decode(saved(grey, kind, icc_profile=swapping_profile())).getpixel((8, 8)) == pytest.approx(
        (120,) * 3, abs=4
    )


def test_transparency_lies_over_white_before_colours_are_converted() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert decode(saved(clear, "PNG", icc_profile=swapping_profile())).getpixel((4, 4)) == (255, 255, 255)


def test_srgb_changes_no_pixel() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    assert to_srgb(image, srgb_profile()) is None
    assert (np.asarray(decode(saved(image, "PNG", icc_profile=srgb_profile()))) == np.asarray(image)).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_profile_for_grey_is_applied_to_grey_alone(kind: str) -> None:
    """Gamma 1: middle grey of light is 188 in sRGB."""
    light = decode(saved(Image.new("L", (8, 8), 128), kind, icc_profile=grey_profile(1.0)))
    assert light.getpixel((4, 4)) == pytest.approx((188,) * 3, abs=1)
    red = decode(saved(Image.new("RGB", (8, 8), (250, 0, 0)), kind, icc_profile=grey_profile(1.0)))
    assert red.getpixel((4, 4)) == pytest.approx((250, 0, 0), abs=8)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_are_what_their_profile_says(kind: str) -> None:
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    as_said = decode(saved(cyan, kind, icc_profile=ink_profile())).getpixel((8, 8))
    assert as_said == pytest.approx((119,) * 3, abs=4)
    assert decode(saved(cyan, kind)).getpixel((8, 8)) == pytest.approx((0, 255, 255), abs=4)


@pytest.mark.parametrize(
    "profile",
    [b"", b"no profile", bytes(200), swapping_profile()[:300], swapping_profile() + bytes(MAX_PROFILE), None, "text"],
)
def test_what_is_no_profile_changes_nothing(profile: object) -> None:
    assert to_srgb(Image.new("RGB", (4, 4), "red"), profile) is None


def test_a_profile_for_other_colours_changes_nothing() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert to_srgb(Image.new("RGB", (4, 4), "red"), lab) is None
    assert to_srgb(Image.new("CMYK", (4, 4)), swapping_profile()) is None


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_picture_is_reduced_before_its_colours_are_converted(orientation: int) -> None:
    image = Image.new("RGB", (4200, 2100), (230, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = decode(saved(image, "JPEG", icc_profile=swapping_profile(), exif=exif))
    assert read.size == ((2100, 1050) if orientation == 1 else (1050, 2100))
    assert full_size(read) == ((4200, 2100) if orientation == 1 else (2100, 4200))
