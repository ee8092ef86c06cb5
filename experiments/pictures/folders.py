"""Which pictures there are, the packages that hold them, and the folders that they are written to."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from experiments.fetched import cache_root, is_made_from, make_folder, require_folder
from experiments.pictures.drawing import draw_picture, draw_svg
from experiments.pictures.emoji_artists import write_emoji, write_icons
from experiments.pictures.flags import write_flags
from experiments.pictures.openclipart import write_clip_art
from experiments.pictures.packages import Package, fetch
from experiments.pictures.photographs import write_photographs
from polyglance.atomic import remove
from polyglance.data.gallery import gallery
from polyglance.errors import ConfigurationError

ARTISTS: Final = ("twitter", "apple")
"""Of the emoji that models are measured on. No model may be trained on them."""
TRAINING_ARTISTS: Final = ("fluent", "fluent-flat", "fxemoji", "noto-v1", "emojione")
"""Of the emoji that models may be trained on. No model is measured on them."""
_CLIP_ART_VERSION: Final = "1:0.18+dfsg-19"


@dataclass(frozen=True)
class Pictures:
    """Pictures that can be fetched.

    packages: that hold them. write: writes the pictures from the files of the packages into a folder. edition: goes up
    with each change of what is written, so that older folders are made again.
    """

    packages: tuple[Package, ...]
    write: Callable[[Sequence[Path], Path], None]
    edition: int = 1

    @property
    def source(self) -> dict[str, object]:
        return {"edition": self.edition, "packages": [asdict(package) for package in self.packages]}


def _measured(artist: str, sha256: str) -> Pictures:
    package = Package("npm", f"emoji-datasource-{artist}", "16.0.0", sha256)
    return Pictures((package,), lambda files, folder: write_emoji(files[0], f"img/{artist}/64/", folder, gallery()))


def _fluent(style: str, sha256: str, draw: Callable[[bytes], bytes]) -> Pictures:
    package = Package("npm", f"@lobehub/fluent-emoji-{style}", "1.1.0", sha256)
    return Pictures((package,), lambda files, folder: write_emoji(files[0], "assets/", folder, gallery(), draw))


def _iconify(artist: str, version: str, sha256: str) -> Pictures:
    package = Package("npm", f"@iconify-json/{artist}", version, sha256)
    return Pictures((package,), lambda files, folder: write_icons(files[0], artist, folder, gallery()), edition=2)


PICTURES: Final[Mapping[str, Pictures]] = {
    "openclipart": Pictures(
        (
            Package(
                "debian",
                "openclipart-svg",
                _CLIP_ART_VERSION,
                "989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5",
            ),
            Package(
                "debian",
                "openclipart-png",
                _CLIP_ART_VERSION,
                "f07f1545a2970c2cf3fa339bc2405da1a95cf2b1827bfa05bf73eb1c20291c02",
            ),
        ),
        lambda files, folder: write_clip_art(*files, folder),
    ),
    "twitter": _measured("twitter", "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877"),
    "apple": _measured("apple", "b34d1665e136f163b0d4433318df151895b785186e8c729b2211b43017945075"),
    "fluent": _fluent("3d", "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58", draw_picture),
    "fluent-flat": _fluent("flat", "8f9113c027c7c20eced0070354715a4093a459b8bef6332b91d45f38c9bdb147", draw_svg),
    "fxemoji": _iconify("fxemoji", "1.2.2", "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef"),
    "noto-v1": _iconify("noto-v1", "1.2.5", "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37"),
    "emojione": _iconify("emojione", "1.2.3", "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e"),
    "flags": Pictures(
        (
            Package(
                "npm",
                "@iconify-json/flag",
                "1.2.12",
                "42246bc20f6154739a192172d71ffe477747ad38278f2e912ec43f4dcb5a15e0",
            ),
            Package(
                "npm",
                "cldr-localenames-full",
                "48.2.0",
                "7f2ac7fd3b5d90f56ad127f9ed5ae67b58b3e556818f55530b9f47bb81bcde57",
            ),
        ),
        lambda files, folder: write_flags(*files, folder),
    ),
    "photographs": Pictures(
        (
            Package(
                "debian",
                "lomiri-wallpapers-16.04",
                "20.04.0-2",
                "a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab",
            ),
            Package(
                "debian",
                "lomiri-wallpapers-20.04",
                "20.04.0-2",
                "d44e89b8473aafe64a5b678f014862dc31335aaaf18665c544d985d854f1a709",
            ),
            Package(
                "debian",
                "mate-backgrounds",
                "1.26.0-1",
                "7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04",
            ),
        ),
        write_photographs,
    ),
}


def pictures_folder(name: str, root: Path | None = None) -> Path:
    """Returns the folder of pictures that were fetched. Raises ConfigurationError if they were not.

    root: the folder of all pictures; None means that in the user's cache.
    """
    folder, source = (root or default_root()) / name, _known(name).source
    return require_folder(folder, source, f"python -m experiments.pictures {name}")


def make(name: str, root: Path | None = None) -> Path:
    """Fetches the pictures of this name unless they are there, and returns their folder.

    Packages that were fetched before a run was stopped are not fetched again.

    Raises:
        ConfigurationError: the name is unknown, or a package cannot be fetched.
        DataError: a package does not hold what it should.
    """
    pictures, root = _known(name), root or default_root()
    folder, packages = root / name, root / f"{name}-packages"
    if is_made_from(folder, pictures.source):
        return folder

    def write(draft: Path) -> None:
        files = []
        for package in pictures.packages:
            print(f"{name}: fetching {package.name} {package.version}", file=sys.stderr)
            files.append(fetch(package, packages))
        print(f"{name}: writing", file=sys.stderr)
        pictures.write(files, draft)

    made = make_folder(folder, pictures.source, write)
    remove(packages)
    return made


def default_root() -> Path:
    """Returns the folder for all pictures in the user's cache."""
    return cache_root() / "pictures"


def _known(name: str) -> Pictures:
    if name not in PICTURES:
        raise ConfigurationError(f"expected pictures of {', '.join(PICTURES)}, got {name!r}")
    return PICTURES[name]
