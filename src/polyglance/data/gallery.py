"""The emoji gallery: 1,470 pictures (Noto Emoji, Apache-2.0) with names and keywords in 14 languages (Unicode CLDR 41).

They ship with the package as the demo's gallery and were made for other purposes.
"""

import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path


@dataclass(frozen=True)
class GalleryEntry:
    """One emoji. id: its code points, also its file name. path: of its picture. group: its group in Unicode. names:
    language -> name. keywords: language -> words."""

    id: str
    path: Path
    group: str
    names: dict[str, str]
    keywords: dict[str, tuple[str, ...]]

    def name_is_held_out(self, language: str) -> bool:
        """Whether the name in this language is held out of training, as for a tenth of all (picture, language)
        pairs."""
        return sha256(f"{self.id} {language}".encode()).digest()[0] < 26


def gallery_folder() -> Path:
    """Returns the folder of the 1,470 PNG files, 128 x 128 pixels on a transparent background."""
    return Path(str(files("polyglance.data"))) / "emoji" / "png"


@cache
def gallery() -> tuple[GalleryEntry, ...]:
    """Returns all emoji in Unicode's order."""
    folder = gallery_folder()
    rows = map(json.loads, (folder.parent / "names.jsonl").read_text(encoding="utf-8").splitlines())
    return tuple(
        GalleryEntry(
            id=row["id"],
            path=folder / f"{row['id']}.png",
            group=row["group"],
            names=row["names"],
            keywords={language: tuple(words) for language, words in row["keywords"].items()},
        )
        for row in rows
    )
