"""Captions of pictures, as users bring them and as the field publishes them.

    FILE.jsonl   of ours: {"image": "relative/path.png", "caption": "...", "language": "en", "split": "train"}
                 or of xFlickrCO: {"sentences": ["..."], "id": "...", "img_path": "..."}, in LANGUAGE/SPLIT.jsonl
    FILE.json    Karpathy's splits of COCO and Flickr30k: {"images": [{"filename", "split", "sentences": [{"raw"}]}]}
    FOLDER       xFlickrCO's annotations, LANGUAGE/SPLIT.jsonl; or a task of Multi30k, raw/NAME.LANGUAGE.gz with
                 image_splits/NAME.txt

Several lines may name one picture. A line of ours may say in `true_of` which other pictures its caption is true of.
"""

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from polyglance.data.lines import Row, Split, named, read_bytes, read_lines, short, split_of, text_of
from polyglance.errors import DataError
from polyglance.languages import language_code

_KARPATHY_SPLITS: Final[dict[str, Split]] = {"train": "train", "restval": "train", "val": "val", "test": "test"}
_MULTI30K: Final = re.compile(r"(?P<name>(?P<split>train|val|test)\w*)(\.(?P<turn>\d))?\.(?P<language>[a-z]{2})(\.gz)?")


@dataclass(frozen=True)
class Caption:
    """One text of one picture. also: further pictures that it is known to be true of."""

    image: Path
    caption: str
    language: str = "en"
    split: Split = "train"
    also: tuple[Path, ...] = ()


def read_captions(path: Path, images: Path | None = None, with_pictures: bool = True) -> list[Caption]:
    """All captions of a file or a folder, in its order.

    images: the folder of the pictures, if it is not that of the file. with_pictures: each must be there.

    Raises DataError for what is missing, empty or none of these forms; wrong lines, and pictures that are not there,
    are named together.
    """
    captions = list(_read(path, images))
    if not captions:
        raise DataError(f"{path}: expected captions, but there is none")
    if with_pictures:
        missing = [str(image) for image in dict.fromkeys(one.image for one in captions) if not image.is_file()]
        if missing:
            raise DataError(f"{path}: there is no picture {named(missing)}")
    return captions


def of_split(captions: Sequence[Caption], split: Split) -> list[Caption]:
    """Raises DataError for a split without captions, which names those that have some."""
    found = [one for one in captions if one.split == split]
    if not found:
        there = sorted({one.split for one in captions})
        raise DataError(f"expected captions of the split {split}, but there are only those of {', '.join(there)}")
    return found


def _read(path: Path, images: Path | None) -> Iterator[Caption]:
    if not path.is_dir():
        beside = images or path.parent
        yield from _karpathy(path, beside) if path.suffix == ".json" else _lines(path, beside)
    elif files := sorted(path.glob("[a-z][a-z]/*.jsonl")):
        for file in files:
            yield from _lines(file, images or path)
    elif (path / "raw").is_dir():
        yield from _multi30k(path, images or path)
    else:
        raise DataError(
            f"expected captions in {path}: LANGUAGE/SPLIT.jsonl as of xFlickrCO, or raw/ and image_splits/ of Multi30k"
        )


def _lines(path: Path, images: Path) -> Iterator[Caption]:
    for captions in read_lines(path, "captions", lambda row: captions_of(row, path, images)):
        yield from captions


def captions_of(row: Row, path: Path, images: Path) -> list[Caption]:
    """Of one line of the file `path`, of ours or xFlickrCO's. Raises ValueError with the reason where it is neither."""
    if "sentences" not in row:
        image, others = images / text_of(row, "image"), row.get("true_of", [])
        if not (isinstance(others, list) and all(isinstance(other, str) for other in others)):
            raise ValueError(f"expected true_of to be a list of pictures, got {short(others)}")
        also = tuple(images / other for other in others if images / other != image)
        return [
            Caption(image, text_of(row, "caption"), language_code(text_of(row, "language", "en")), split_of(row), also)
        ]
    image = images / text_of(row, "img_path")
    return [
        Caption(image, text, language_code(path.parent.name), split_of({"split": path.stem}))
        for text in _texts(row["sentences"])
    ]


def _texts(sentences: object) -> list[str]:
    """As they were published: xFlickrCO has empty ones, and counts them."""
    if not (isinstance(sentences, list) and sentences and all(isinstance(text, str) for text in sentences)):
        raise ValueError(f"expected sentences to be a list of texts, got {short(sentences)}")
    return [text.strip() for text in sentences]


def _karpathy(path: Path, images: Path) -> Iterator[Caption]:
    try:
        document: Any = json.loads(read_bytes(path, "captions"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: no JSON: {error}") from error
    rows = document.get("images") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise DataError(f"{path}: expected an object with a list of images, as of Karpathy's splits")
    wrong = []
    for number, row in enumerate(rows, 1):
        try:
            yield from _of_picture(row, images)
        except ValueError as error:
            wrong.append(f"image {number}: {error}")
    if wrong:
        raise DataError(f"{path}: {named(wrong)}")


def _of_picture(row: object, images: Path) -> list[Caption]:
    """COCO's pictures lie in folders of their own, which `filepath` names."""
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, got {short(row)}")
    if (split := row.get("split")) not in _KARPATHY_SPLITS:
        raise ValueError(f"expected split to be one of {', '.join(_KARPATHY_SPLITS)}, got {short(split)}")
    sentences = row.get("sentences")
    raw = [one.get("raw") if isinstance(one, dict) else one for one in sentences] if isinstance(sentences, list) else []
    image = images / (text_of(row, "filepath") if "filepath" in row else "") / text_of(row, "filename")
    return [Caption(image, text, "en", _KARPATHY_SPLITS[split]) for text in _texts(raw)]


def _multi30k(folder: Path, images: Path) -> Iterator[Caption]:
    """One text and one picture a line, the same line in each file of a NAME."""
    for file in sorted((folder / "raw").iterdir()):
        if not (match := _MULTI30K.fullmatch(file.name)):
            continue
        texts = _text_lines(file)
        shown = _text_lines(_image_list(folder / "image_splits", match["name"]))
        if len(texts) != len(shown):
            raise DataError(f"{file}: expected a text for each of {len(shown):,} pictures, got {len(texts):,}")
        split = cast("Split", match["split"])
        for text, image in zip(texts, shown, strict=True):
            yield Caption(images / image.partition("#")[0], text, match["language"], split)


def _image_list(folder: Path, name: str) -> Path:
    """Of task 1, NAME.txt, or of task 2, NAME_images.txt."""
    found = [path for path in (folder / f"{name}.txt", folder / f"{name}_images.txt") if path.is_file()]
    if not found:
        raise DataError(
            f"expected the pictures of {name} in {folder / name}.txt, one a line, but there is no such file"
        )
    return found[0]


def _text_lines(path: Path) -> Sequence[str]:
    content = read_bytes(path, "captions, one a line,")
    try:
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path}: expected texts in UTF-8: {error}") from error
    return [line.strip() for line in text.removesuffix("\n").split("\n")]
