"""Emoji of other artists than the gallery's: npm's `emoji-datasource-twitter` and `-apple`, for measurements alone.

Twemoji is CC BY 4.0. Apple's emoji are Apple's: they are never copied, trained on or shown.
"""

from collections.abc import Iterable
from pathlib import Path

from experiments.pictures.packages import files_of
from polyglance.data.gallery import GalleryEntry


def write_emoji(package: Path, artist: str, folder: Path, entries: Iterable[GalleryEntry]) -> None:
    """Writes the artist's pictures of the gallery's emoji as `folder/ID.png`, 64 x 64 pixels.

    package: the file of the artist's npm package. artist: its name in the package, `twitter` or `apple`.
    """
    id_of = {_spelling(entry.id): entry.id for entry in entries}
    place = f"img/{artist}/64/"
    for name, content in files_of(package, lambda name: name.startswith(place) and name.endswith(".png")):
        if (known := id_of.get(_spelling(Path(name).stem))) is not None:
            (folder / f"{known}.png").write_bytes(content)


def _spelling(code_points: str) -> str:
    """Returns the code points without variation selectors, which one package names and another leaves out."""
    return "-".join(point for point in code_points.lower().replace("_", "-").split("-") if point != "fe0f")
