"""Open Clip Art, as Debian packages it: pictures whose titles say what they show, in splits.

All of its pictures are in the public domain. Titles and keywords stand in the metadata of the SVG files. Of 8,121
pictures, most have a title that names a collection ("Lemon SVG theme"). A picture is chosen if

- its title, less "Clipart by NAME -", has a word of three letters, is that of at most two pictures, and no earlier
  picture has it: what differs in case, digits and punctuation alone counts as the same title;
- it is in none of the folders of letters, patterns, geometric shapes and blank buttons;
- it can be decoded, has more than one colour, and no earlier picture has the same pixels.

So no two chosen pictures share their title or their pixels. They are put in the order of the SHA-256 of their titles:
the first 400 are `test`, the next 100 are `val`, and the others are `train`.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Final
from xml.etree import ElementTree

from experiments.pictures.packages import files_of
from polyglance.data.images import decode
from polyglance.data.lines import Split
from polyglance.errors import DataError, PictureError

TEST: Final = 400
VAL: Final = 100
_ROOT: Final = "usr/share/openclipart"
_COPYRIGHT: Final = "usr/share/doc/openclipart-png/copyright"
_WORD: Final = re.compile(r"[^\W\d_]+")
_AUTHOR: Final = re.compile(r"clipart by [^-]* - ", re.IGNORECASE)
_PASSED_OVER: Final = ("special/", "shapes/", "signs_and_symbols/led/", "computer/buttons/", "buttons/")
_MOST_WITH_ONE_TITLE: Final = 2
_NO_KEYWORDS: Final = ("hash", "unsorted", "signs and symbols", "architetto francesco rollandin")
"""Faults of the collection's software, folders, and an author."""


@dataclass(frozen=True)
class Said:
    """What the author of a picture said about it."""

    title: str
    keywords: tuple[str, ...]


def write_clip_art(svg_package: Path, png_package: Path, folder: Path, test: int = TEST, val: int = VAL) -> None:
    """Writes the chosen pictures, with their titles and splits.

    folder: gets `pictures/`, `captions.jsonl` with the titles, `keywords.jsonl` with the keywords of the pictures of
    `train` as captions, and `LICENSE.txt`. test, val: the number of pictures in these splits.

    Raises:
        DataError: a package is torn, or has too few pictures with titles.
    """
    said = {
        _place(name, "svg"): one
        for name, content in files_of(svg_package, lambda name: bool(_place(name, "svg")))
        if (one := said_of(content)) is not None
    }
    titled = with_titles_of_their_own(said)
    chosen: dict[str, Said] = {}
    seen = set()
    for name, content in files_of(png_package, lambda name: name == _COPYRIGHT or _place(name, "png") in titled):
        if name == _COPYRIGHT:
            (folder / "LICENSE.txt").write_bytes(content)
        elif (pixels := _pixels(content)) is not None and pixels not in seen:
            seen.add(pixels)
            place = _place(name, "png")
            chosen[place] = titled[place]
            path = folder / _picture(place)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    if len(chosen) <= test + val:
        raise DataError(f"expected more than {test + val} pictures with titles in {png_package}, got {len(chosen)}")
    _write_lines(folder, chosen, splits(chosen, test, val))


def said_of(svg: bytes) -> Said | None:
    """Returns the title and the keywords in the metadata of a picture; None if it has none or is no XML."""
    try:
        work = next((node for node in ElementTree.fromstring(svg).iter() if _name(node) == "Work"), None)
    except (ElementTree.ParseError, LookupError, ValueError):  # the latter: unknown encodings
        return None
    if work is None:
        return None
    titles = [_AUTHOR.sub("", _clean(node.text)) for node in work if _name(node) == "title"]
    keywords = [
        _clean(item.text) for node in work if _name(node) == "subject" for item in node.iter() if _name(item) == "li"
    ]
    return Said(next(filter(None, titles), ""), tuple(dict.fromkeys(filter(_is_keyword, keywords))))


def with_titles_of_their_own(said: Mapping[str, Said]) -> dict[str, Said]:
    """Returns the pictures whose titles say something, by their places, in the order of these.

    said: by the place of the picture, its path in the collection without a suffix.
    """
    times = Counter(spelling(one.title) for one in said.values())
    found: dict[str, Said] = {}
    taken = set()
    for place, one in sorted(said.items()):
        title = spelling(one.title)
        says_something = times[title] <= _MOST_WITH_ONE_TITLE and any(len(word) > 2 for word in title.split())
        if says_something and title not in taken and not place.startswith(_PASSED_OVER):
            taken.add(title)
            found[place] = one
    return found


def splits(chosen: Mapping[str, Said], test: int, val: int) -> dict[str, Split]:
    """Returns the split of each picture. It depends on the titles, and not on the order of the pictures."""
    order = sorted(chosen, key=lambda place: sha256(spelling(chosen[place].title).encode()).digest())
    return {place: "test" if row < test else "val" if row < test + val else "train" for row, place in enumerate(order)}


def spelling(title: str) -> str:
    """Returns the words of a title, by which titles are compared."""
    return " ".join(_WORD.findall(title.casefold()))


def _write_lines(folder: Path, chosen: Mapping[str, Said], split_of: Mapping[str, Split]) -> None:
    titles, keywords = [], []
    for place, said in sorted(chosen.items()):
        row = {"image": _picture(place), "language": "en", "split": split_of[place]}
        titles.append({**row, "caption": said.title})
        if said.keywords and row["split"] == "train":
            keywords.append({**row, "caption": ", ".join(said.keywords)})
    for name, rows in {"captions": titles, "keywords": keywords}.items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def _place(name: str, kind: str) -> str:
    """Returns the path in the collection, without its suffix; empty for a path outside.

    name: its path in the package. kind: `svg` or `png`.
    """
    path = PurePosixPath(name)
    root = f"{_ROOT}/{kind}"
    if not path.is_relative_to(root) or path.suffix != f".{kind}" or ".." in path.parts:
        return ""
    return str(path.relative_to(root).with_suffix(""))


def _picture(place: str) -> str:
    return f"pictures/{place}.png"


def _pixels(content: bytes) -> str | None:
    """Returns a hash of the pixels; None if there are none or all are alike."""
    try:
        picture = decode(content)
    except PictureError:
        return None
    if all(low == high for low, high in picture.getextrema()):
        return None
    return sha256(f"{picture.size}".encode() + picture.tobytes()).hexdigest()


def _name(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""  # the tag of a comment is a function


def _clean(text: str | None) -> str:
    return " ".join((text or "").replace("_", " ").split())


def _is_keyword(text: str) -> bool:
    return bool(text) and not any(letter.isdigit() for letter in text) and text.casefold() not in _NO_KEYWORDS
