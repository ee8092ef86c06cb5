"""Every file that a folder of pictures can hold either becomes upright RGB or ends in one clear reason."""

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polyglance.data.image_formats import SUFFIXES
from polyglance.data.images import (
    content_hash,
    decode,
    find_pictures,
    full_size,
    reduced_heic,
)
from polyglance.errors import DataError, PictureError
from tests.memory import allocating_at_most
from tests.shared_data import shared_data

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".webp": "WEBP",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".bmp": "BMP",
    ".heic": "HEIF",
    ".avif": "AVIF",
}


def halves() -> Image.Image:
    """48 x 32, left half red, right half blue: turned or mirrored, it shows."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:, :24, 0] = 255
    pixels[:, 24:, 2] = 255
    return Image.fromarray(pixels)


def write(path: Path, image: Image.Image, **options: object) -> Path:
    if path.suffix == ".heic":
        import pillow_heif

        pillow_heif.register_heif_opener()
    image.save(path, FORMATS[path.suffix], **options)
    return path


def is_red(pixel: object) -> bool:
    return isinstance(pixel, tuple) and pixel[0] > 200 and pixel[2] < 60


def is_blue(pixel: object) -> bool:
    return isinstance(pixel, tuple) and pixel[2] > 200 and pixel[0] < 60


def png_header(width: int, height: int, tail: bytes = b"") -> bytes:
    """The head of a PNG that declares a size."""
    data = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + data + struct.pack(">I", zlib.crc32(data))
    return b"\x89PNG\r\n\x1a\n" + chunk + tail


# --- finding


def test_finds_pictures_recursively_sorted_and_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("b.png", "a/z.JPG", "a/deep/y.webp", "notes.txt", ".hidden.png", ".cache/x.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    expected = sorted(str(tmp_path / name) for name in ("b.png", "a/z.JPG", "a/deep/y.webp"))
    assert find_pictures(["."]).paths == expected
    assert find_pictures([tmp_path / "a", tmp_path, tmp_path]).paths == expected


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_finds_every_suffix_in_any_case(tmp_path: Path, suffix: str):
    (tmp_path / f"x{suffix.upper()}").touch()
    assert len(find_pictures([tmp_path]).paths) == 1


def test_a_single_file_may_be_named(tmp_path: Path):
    (tmp_path / "photo.dat").touch()
    assert find_pictures([tmp_path / "photo.dat"]).paths == [str(tmp_path / "photo.dat")]


def test_a_missing_folder_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="nowhere does not exist"):
        find_pictures([tmp_path / "nowhere"])


def test_looping_links_end_and_the_real_place_names_the_file(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.png").touch()
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    (tmp_path / "a_link_before_it").symlink_to(tmp_path / "real")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    assert find_pictures([tmp_path]).paths == [str(tmp_path / "real" / "x.png")]


def test_a_linked_folder_elsewhere_is_followed(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.png").touch()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "link").symlink_to(tmp_path / "elsewhere")
    assert find_pictures([tmp_path / "pictures"]).paths == [str(tmp_path / "pictures" / "link" / "x.png")]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "x.png").touch()
    monkeypatch.chdir(tmp_path)
    for _ in range(20):  # deeper than any system call takes as one path, whoever asks
        os.mkdir("d" * 250)
        os.chdir("d" * 250)
    os.chdir(tmp_path)
    found = find_pictures([tmp_path])
    assert found.paths == [str(tmp_path / "x.png")]
    assert list(found.unreadable.values()) == ["file name too long"]


# --- content


def test_content_hash_depends_on_bytes_alone(tmp_path: Path):
    first, second, other = (tmp_path / name for name in ("a.png", "b.png", "c.png"))
    first.write_bytes(b"same")
    second.write_bytes(b"same")
    other.write_bytes(b"other")
    assert content_hash(first) == content_hash(second) != content_hash(other)
    assert len(content_hash(first)) == 32


# --- decoding


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_decoded(tmp_path: Path, suffix: str):
    image = decode(write(tmp_path / f"x{suffix}", halves()))
    assert (image.mode, image.size) == ("RGB", (48, 32))
    assert is_red(image.getpixel((4, 16)))
    assert is_blue(image.getpixel((44, 16)))


def test_the_suffix_need_not_fit_the_content(tmp_path: Path):
    path = write(tmp_path / "x.png", halves()).rename(tmp_path / "x.jpg")
    assert decode(path).size == (48, 32)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".heic", ".avif"])
def test_exif_orientation_is_obeyed(tmp_path: Path, suffix: str, orientation: int):
    as_stored = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    image = halves()
    for turn in as_stored[orientation]:
        image = image.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = decode(write(tmp_path / f"x{suffix}", image, exif=exif.tobytes()))
    assert upright.size == (48, 32)
    assert is_red(upright.getpixel((4, 16)))
    assert is_blue(upright.getpixel((44, 16)))


def test_broken_exif_turns_nothing(tmp_path: Path):
    path = write(tmp_path / "x.jpg", halves(), exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff torn")
    assert decode(path).size == (48, 32)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_over_white(tmp_path: Path, mode: str):
    image = Image.new(mode, (8, 8), (0,) * len(mode))
    assert decode(write(tmp_path / "x.png", image)).getpixel((4, 4)) == (255, 255, 255)


def test_a_transparent_palette_colour_lies_over_white(tmp_path: Path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((0, 0), 0)
    rgb = decode(write(tmp_path / "x.png", image, transparency=1))
    assert rgb.getpixel((4, 4)) == (255, 255, 255)
    assert rgb.getpixel((0, 0)) == (255, 0, 0)


def test_the_first_frame_of_an_animation_is_read(tmp_path: Path):
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    assert is_red(decode(write(tmp_path / "x.gif", red, save_all=True, append_images=[blue])).getpixel((4, 4)))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_their_brightness(tmp_path: Path, suffix: str):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    rgb = np.asarray(decode(write(tmp_path / f"x{suffix}", Image.fromarray(ramp))))
    assert np.abs(rgb[..., 0].astype(int) - (ramp >> 8)).max() == 0


def test_float_pixels_are_stretched(tmp_path: Path):
    ramp = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    rgb = np.asarray(decode(write(tmp_path / "x.tif", Image.fromarray(ramp))))
    assert (rgb.min(), rgb.max()) == (0, 255)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_rgb(tmp_path: Path, suffix: str):
    assert is_red(decode(write(tmp_path / f"x{suffix}", Image.new("CMYK", (8, 8), (0, 255, 255, 0)))).getpixel((4, 4)))


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_becomes_rgb(tmp_path: Path, mode: str):
    assert decode(write(tmp_path / "x.png", Image.new(mode, (8, 8), 255))).getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("name", ["a.avif", "avif_named.jpg", "a.hif", "a.jfif", "two_values_le.jpg"])
def test_pictures_that_other_programs_wrote_are_read(name: str):
    image = decode(shared_data() / "cases" / name)
    assert image.size in ((96, 64), (64, 96))
    assert max(int(band[1]) - int(band[0]) for band in image.getextrema()) > 150


def test_the_first_picture_of_several_in_one_jpeg_is_read(tmp_path: Path):
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    red.save(tmp_path / "x.mpo", "MPO", save_all=True, append_images=[blue])
    assert find_pictures([tmp_path]).paths == [str(tmp_path / "x.mpo")]
    assert is_red(decode(tmp_path / "x.mpo").getpixel((4, 4)))


def test_the_first_picture_of_an_animated_png_is_read(tmp_path: Path):
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    red.save(tmp_path / "x.apng", "PNG", save_all=True, append_images=[blue])
    assert is_red(decode(tmp_path / "x.apng").getpixel((4, 4)))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 3000), (3000, 1), (1, 16383)])
@pytest.mark.parametrize("suffix", sorted(FORMATS.keys() - {".heic", ".avif"}))
def test_strips_of_one_pixel_are_read(tmp_path: Path, suffix: str, width: int, height: int):
    assert decode(write(tmp_path / f"x{suffix}", Image.new("RGB", (width, height), "white"))).size == (width, height)


@pytest.mark.parametrize("compression", ["raw", "group4", "tiff_adobe_deflate", "packbits"])
def test_a_tiff_of_one_bit_is_read(tmp_path: Path, compression: str):
    image = Image.new("1", (20, 10), 1)
    image.paste(0, (0, 0, 10, 10))
    read = decode(write(tmp_path / "x.tif", image, compression=compression))
    assert (read.getpixel((2, 5)), read.getpixel((18, 5))) == ((0, 0, 0), (255, 255, 255))


# --- a JPEG without its end


def jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (320, 64, 3), np.uint8)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def test_a_jpeg_without_its_end_marker_has_all_of_its_pixels():
    whole, cut = (decode(shared_data() / "cases" / name) for name in ("base.jpg", "no_eoi.jpg"))
    assert (np.asarray(whole) == np.asarray(cut)).all()


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_a_jpeg_is_read_as_long_as_nearly_all_rows_are_there(options: dict[str, object]):
    whole = jpeg(**options)
    rows = np.asarray(decode(whole))[:280]
    cut = np.asarray(decode(whole[: int(len(whole) * 0.97)]))
    assert np.abs(rows.astype(int) - cut[:280]).mean() < 30  # a progressive one lacks detail
    with pytest.raises(PictureError, match="more than a sixteenth of its rows is missing"):
        decode(jpeg()[: int(len(jpeg()) * 0.9)])


def test_half_a_jpeg_in_grey_is_refused_too():
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (320, 64), np.uint8)).save(buffer, "JPEG")
    with pytest.raises(PictureError, match="rows is missing"):
        decode(buffer.getvalue()[: len(buffer.getvalue()) // 2])


# --- pictures beyond the bound


def test_a_jpeg_beyond_the_bound_is_read_at_reduced_scale():
    """108 megapixels, as telephones take them."""
    halved = Image.new("L", (12_000, 9_000))
    halved.paste(255, (6_000, 0, 12_000, 9_000))
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 8
    halved.save(buffer, "JPEG", exif=exif)
    del halved
    image = decode(buffer.getvalue())
    assert image.size == (2_250, 3_000)
    assert full_size(image) == (9_000, 12_000)
    assert image.getpixel((1_000, 2_900)) == (0, 0, 0)
    assert image.getpixel((1_000, 100)) == (255, 255, 255)


def test_a_heic_is_halved_a_band_at_a_time(tmp_path: Path):
    """As for one beyond the bound, which would take half a minute to make."""
    image = Image.linear_gradient("L").resize((301, 1301)).convert("RGB")
    path = write(tmp_path / "x.heic", image, quality=95)
    with path.open("rb") as file:
        half = reduced_heic(file, {"icc_profile": b"kept"})
    assert half.size == (151, 651)
    assert half.info == {"icc_profile": b"kept"}
    expected = np.asarray(decode(path).reduce(2), int)
    assert np.abs(np.asarray(half, int) - expected).max() <= 1


def jpeg_header(width: int, height: int, start: bytes = b"\xff\xc0") -> bytes:
    """The head of a JPEG that declares a size."""
    whole = jpeg(progressive=start == b"\xff\xc2")
    place = whole.index(start + b"\x00\x11\x08") + 5
    return whole[:place] + struct.pack(">HH", height, width) + whole[place + 4 :]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (jpeg_header(65_500, 65_500), "too large: 65,500 x 65,500 pixels, at most 256 million are read"),
        (jpeg_header(12_000, 9_000, b"\xff\xc2"), "too large: 12,000 x 9,000 pixels, at most 100 million are read"),
        (
            b"GIF89a" + 4 * b"\xff" + b"\0\0\0," + 4 * b"\0" + 4 * b"\xff" + b"\0\x08",
            "too large: 65,535 x 65,535 pixels",
        ),
        (
            b"BM" + struct.pack("<IIIIiiHHI", 99, 0, 54, 40, 70_000, 70_000, 1, 24, 0) + bytes(20),
            "too large: 70,000 x 70,000",
        ),
        (b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xfe\x3f\0" * 2 + bytes(12), "too large: 268,402,689 pixels"),
    ],
    ids=["JPEG", "progressive JPEG", "GIF", "BMP", "WebP"],
)
def test_a_bomb_of_every_format_is_refused_with_its_size(content: bytes, expected: str):
    with allocating_at_most(2**20), pytest.raises(PictureError) as caught:
        decode(content)
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(("name", "size"), [("108mp.png", "12,000 x 9,000"), ("200mp.png", "16,320 x 12,240")])
def test_what_cannot_be_reduced_is_refused_with_its_size(name: str, size: str):
    assert reason(shared_data() / "cases" / name) == f"too large: {size} pixels, at most 100 million are read"


# --- refusing


def reason(path: Path) -> str:
    with pytest.raises(PictureError) as caught:
        decode(path)
    text = str(caught.value)
    assert text
    assert "\n" not in text
    assert str(path) not in text
    return text


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_truncated_picture_is_refused(tmp_path: Path, suffix: str, share: float):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = write(tmp_path / f"x{suffix}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "damaged" in reason(path) or "not a picture" in reason(path)


def test_a_value_that_no_reader_knows_is_named_as_one(tmp_path: Path):
    path = write(tmp_path / "x.tif", halves())
    compression = [struct.pack("<HHIHH", 259, 3, 1, value, 0) for value in (1, 320)]
    path.write_bytes(path.read_bytes().replace(*compression))
    assert reason(path) == "cut short or damaged: unknown value 320"


def test_text_named_png_is_refused(tmp_path: Path):
    path = tmp_path / "x.png"
    path.write_text("not a picture at all")
    assert reason(path).startswith("not a picture in any of PNG")


def test_a_fake_heic_is_refused(tmp_path: Path):
    path = tmp_path / "x.heic"
    path.write_bytes(b"\x00\x00\x00\x18ftypheic" + b"nonsense" * 20)
    assert "not a picture" in reason(path) or "damaged" in reason(path)


def test_formats_nobody_asked_for_are_refused(tmp_path: Path):
    path = tmp_path / "x.png"
    Image.new("RGB", (8, 8)).save(path, "PPM")
    assert "not a picture" in reason(path)


def test_an_empty_file_is_refused(tmp_path: Path):
    path = tmp_path / "x.png"
    path.touch()
    assert reason(path) == "an empty file"


def test_a_broken_link_is_refused(tmp_path: Path):
    path = tmp_path / "x.png"
    path.symlink_to(tmp_path / "gone.png")
    assert reason(path) == "a link to nothing"


def test_a_missing_file_is_refused(tmp_path: Path):
    assert reason(tmp_path / "x.png") == "no such file or directory"


def test_a_folder_is_refused(tmp_path: Path):
    path = tmp_path / "x.png"
    path.mkdir()
    assert "a folder or a device" in reason(path)


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path):
    path = tmp_path / "x.png"
    os.mkfifo(path)
    assert "a folder or a device" in reason(path)
    with pytest.raises(PictureError, match="a folder or a device"):
        content_hash(path)


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (10_001, 10_000), (1, 100_000_001)])
def test_a_bomb_is_refused_by_its_declared_size(tmp_path: Path, width: int, height: int):
    path = tmp_path / "x.png"
    path.write_bytes(png_header(width, height, struct.pack(">I", 100) + b"IDAT"))
    assert reason(path).startswith("too large")


def test_a_real_bomb_costs_no_memory(tmp_path: Path):
    """60,000 x 60,000 grey pixels, 10 MB of zeros deflated: refused in a process that may not use a gigabyte more."""
    row = zlib.compressobj()
    data = b"".join(row.compress(bytes(60_001)) for _ in range(2_000)) + row.flush()
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(60_000, 60_000, struct.pack(">I", len(data)) + b"IDAT" + data))
    code = (
        "import resource, sys\n"
        "from polyglance.data.images import decode\n"
        "from polyglance.errors import PictureError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    decode(sys.argv[1])\n"
        "except PictureError:\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000  # KiB
    assert done.stderr == ""


def test_many_threads_decode_at_once(tmp_path: Path):
    path = write(tmp_path / "x.png", halves())
    sizes: list[tuple[int, int]] = []
    threads = [threading.Thread(target=lambda: sizes.append(decode(path).size)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [(48, 32)] * 8


def test_the_file_is_closed_again(tmp_path: Path):
    path = write(tmp_path / "x.png", halves())
    before = len(os.listdir("/proc/self/fd"))
    images = [decode(path) for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(images) == 20


def test_heif_is_loaded_only_when_one_is_met(tmp_path: Path):
    write(tmp_path / "x.png", halves())
    write(tmp_path / "x.heic", halves())
    code = (
        "import sys\n"
        "from polyglance.data.images import decode\n"
        "decode(sys.argv[1] + '/x.png'); print('pillow_heif' in sys.modules)\n"
        "decode(sys.argv[1] + '/x.heic'); print('pillow_heif' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_an_image_of_bytes_is_what_was_saved(tmp_path: Path):
    """PNG loses nothing, so decoding gives the very pixels."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    (tmp_path / "x.png").write_bytes(buffer.getvalue())
    assert (np.asarray(decode(tmp_path / "x.png")) == noise).all()
