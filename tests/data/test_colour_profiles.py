"""Colours are what the profile in a picture says."""

import io

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
