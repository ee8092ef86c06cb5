"""Pictures with texts that people wrote about them.

The bundled model may be trained on none of the pictures but the bundled emoji, and on none of the texts but the names
that are called seen.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from experiments import emoji
from experiments.pictures.folders import ARTISTS, TRAINING_ARTISTS, pictures_folder
from experiments.splits import require_disjoint
from polyglance.data.captions import Caption, of_split, read_captions
from polyglance.data.gallery import gallery
from polyglance.languages import DEMO_LANGUAGES

FLICKR8K: Final = "flickr8k"
CLIP_ART: Final = "openclipart"
NOTO: Final = "noto"
FLICKR8K_LANGUAGES: Final = ("en", "de", "cs", "zh")

Queries = Sequence[tuple[int, str]]
"""Each text, and the row of its picture."""


@dataclass(frozen=True)
class Collection:
    """Pictures, and texts each of which is about one of them.

    pictures: the pool. queries: by their kind and language.
    """

    name: str
    pictures: Sequence[Path]
    queries: Mapping[tuple[str, str], Queries]

    def first(self, count: int) -> "Collection":
        """Returns at most `count` of the pictures, and of each kind of query at most so many about them.

        The pictures are those that the first queries ask about. A kind without queries about them is left out.
        """
        rows = sorted({row for queries in self.queries.values() for row, _ in queries[:count]})[:count]
        place = {row: number for number, row in enumerate(rows)}
        few = {
            key: [(place[row], text) for row, text in queries if row in place][:count]
            for key, queries in self.queries.items()
        }
        queries = {key: asked for key, asked in few.items() if asked}
        return Collection(self.name, [self.pictures[row] for row in rows], queries)


def flickr8k(folder: Path | None = None) -> Collection:
    """The 1,000 photographs of Flickr8k's test split: 5 captions each in English and Chinese, one in German and Czech.

    folder: that of the captions; None means the data beside the checkout, see `shared_data`.

    Raises:
        DataError: a file is missing, or a photograph is in two splits.
    """
    folder = folder or shared_data() / FLICKR8K
    captions = {code: read_captions(folder / f"captions.{code}.jsonl") for code in FLICKR8K_LANGUAGES}
    require_one_split([caption for of_language in captions.values() for caption in of_language])
    pictures = list(dict.fromkeys(one.image for one in of_split(captions["en"], "test")))
    row = {picture: number for number, picture in enumerate(pictures)}
    queries = {
        ("captions", code): [(row[one.image], one.caption) for one in of_split(captions[code], "test")]
        for code in FLICKR8K_LANGUAGES
    }
    return Collection(FLICKR8K, pictures, queries)


def clip_art(folder: Path | None = None) -> Collection:
    """The chosen pictures of Open Clip Art: all of them are the pool, the titles of the test split are the queries.

    folder: of the pictures; None means where `python -m experiments.pictures` writes them.

    Raises:
        ConfigurationError: the pictures were not fetched.
        DataError: a picture or a title is in two splits.
    """
    captions = read_captions((folder or pictures_folder(CLIP_ART)) / "captions.jsonl")
    require_one_split(captions, by_text=True)
    pictures = list(dict.fromkeys(one.image for one in captions))
    row = {picture: number for number, picture in enumerate(pictures)}
    titles = [(row[one.image], one.caption) for one in of_split(captions, "test")]
    return Collection(CLIP_ART, pictures, {("titles", "en"): titles})


def of_artist(artist: str, folders: Mapping[str, Path] | None = None) -> Collection:
    """The emoji of one of `ARTISTS`, by their names in CLDR; of the gallery's emoji those that all artists have drawn.

    folders: of the pictures of each artist; None means where `python -m experiments.pictures` writes them.

    Raises:
        ConfigurationError: the pictures were not fetched.
        DataError: models are trained on pictures of the artist.
    """
    require_disjoint("artist", {"train": TRAINING_ARTISTS, "test": [artist]})
    folders = folders or {name: pictures_folder(name) for name in ARTISTS}
    entries = [entry for entry in gallery() if all((one / f"{entry.id}.png").exists() for one in folders.values())]
    queries = {
        ("names", code): [(row, entry.names[code]) for row, entry in enumerate(entries)] for code in DEMO_LANGUAGES
    }
    return Collection(artist, [folders[artist] / f"{entry.id}.png" for entry in entries], queries)


def noto() -> Collection:
    """The bundled emoji: names that training met, names that it did not meet in that language, and all keywords of a
    picture in one query."""
    pictures = [entry.path for entry in gallery()]
    kinds = ("seen names", "held-out names", "keywords")
    return Collection(
        NOTO, pictures, {(kind, code): emoji.queries(kind, code) for kind in kinds for code in DEMO_LANGUAGES}
    )


COLLECTIONS: Final[Mapping[str, Callable[[], Collection]]] = {
    FLICKR8K: flickr8k,
    **{artist: lambda artist=artist: of_artist(artist) for artist in ARTISTS},
    NOTO: noto,
    CLIP_ART: clip_art,
}


def require_one_split(captions: Sequence[Caption], by_text: bool = False) -> None:
    """Raises DataError if a picture is in two splits; by_text: also if a text is, whatever its case and spaces."""
    splits: dict[str, list[Caption]] = {}
    for one in captions:
        splits.setdefault(one.split, []).append(one)
    require_disjoint("picture", {split: [one.image for one in found] for split, found in splits.items()})
    if by_text:
        texts = {split: [" ".join(one.caption.casefold().split()) for one in found] for split, found in splits.items()}
        require_disjoint("text", texts)


def shared_data() -> Path:
    """Returns the folder of real data beside the checkout, or that of the variable POLYGLANCE_SHARED_DATA."""
    return Path(os.environ.get("POLYGLANCE_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
