"""Reads captions of pictures, from users' own files and from published data sets.

    FILE.jsonl   of ours: {"image": "relative/path.png", "caption": "...", "language": "en", "split": "train"}
                 or of xFlickrCO: {"sentences": ["..."], "id": "...", "img_path": "..."}
    FILE.csv     of ours: a header with image and caption, and language and split if there are any
    FILE.json    Karpathy's splits of COCO and Flickr30k: {"images": [{"filename", "split", "sentences": [{"raw"}]}]}
                 or COCO's own: {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}
    FOLDER       xFlickrCO's annotations, LANGUAGE/SPLIT.jsonl; or a task of Multi30k, raw/NAME.LANGUAGE.gz with
                 image_splits/NAME.txt

Several lines may name the same picture. A line of ours may list other pictures that its caption is true of in
`true_of`.

Where a line does not say its language and split, the caller may; else those of xFlickrCO and Multi30k are what the
layout of their published files says, and all others are English and of the split train.
"""

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

from pydantic import BeforeValidator, Field

from polyglance.data.forms import Form, Id, Text, checked
from polyglance.data.lines import Row, Split, parse_all, picture_at, read_bytes, read_json, read_rows, require_pictures
from polyglance.errors import DataError
from polyglance.languages import language_code

_KARPATHY_SPLITS: Final[dict[str, Split]] = {"train": "train", "restval": "train", "val": "val", "test": "test"}
_MULTI30K: Final = re.compile(r"(?P<name>(?P<split>train|val|test)\w*)(\.(?P<turn>\d))?\.(?P<language>[a-z]{2})(\.gz)?")
_XFLICKRCO: Final = re.compile(r"(?P<language>de|en|es|id|ja|ru|tr|zh)/(?P<split>train|dev|val|test)(_\d+)?\.jsonl")


class _Own(Form):
    image: Text
    caption: Text
    language: Text | None = None
    split: Split | None = None
    true_of: list[str] = Field(default_factory=list)


class _XFlickrCO(Form):
    """Published sentences may be empty and still count."""

    img_path: Text
    sentences: Annotated[list[str], Field(min_length=1)]


def _raw(sentence: object) -> object:
    return sentence.get("raw") if isinstance(sentence, dict) else sentence


class _Karpathy(Form):
    """filepath: the folder of a COCO picture."""

    filename: Text
    filepath: str = ""
    split: Literal["train", "restval", "val", "test"]
    sentences: Annotated[list[Annotated[str, BeforeValidator(_raw)]], Field(min_length=1)]


class _CocoImage(Form):
    id: Id
    file_name: Text


class _CocoCaption(Form):
    image_id: Id
    caption: Text


@dataclass(frozen=True)
class Caption:
    """A caption of a picture. also: other pictures that it is known to be true of."""

    image: Path
    caption: str
    language: str = "en"
    split: Split = "train"
    also: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Unsaid:
    """The language and split of captions without their own, which override any layout; None uses the layout or the
    defaults."""

    language: str | None = None
    split: Split | None = None


_NOTHING: Final = Unsaid()


def read_captions(
    path: Path,
    images: Path | None = None,
    with_pictures: bool = True,
    language: str | None = None,
    split: Split | None = None,
) -> list[Caption]:
    """Reads all captions of a file or folder, in order.

    images: the folder of the pictures; by default that of the file. with_pictures: whether every picture must exist.
    language, split: of captions without their own; they override the layout of published files.

    Raises DataError if the path is missing, empty or in none of these formats, or has wrong lines or missing pictures,
    which the error names.
    """
    captions = list(_read(path, images, Unsaid(language, split)))
    if not captions:
        raise DataError(f"{path}: expected captions, but there is none")
    if with_pictures:
        require_pictures(path, (one.image for one in captions))
    return captions


def of_split(captions: Sequence[Caption], split: Split) -> list[Caption]:
    """Returns the captions of a split. Raises DataError if there are none; it names the splits that have some."""
    found = [one for one in captions if one.split == split]
    if not found:
        there = ", ".join(sorted({one.split for one in captions}))
        raise DataError(f"expected captions of the split {split}, but there are only those of {there}")
    return found


def _read(path: Path, images: Path | None, unsaid: Unsaid) -> Iterator[Caption]:
    if not path.is_dir():
        beside = images or path.parent
        yield from _document(path, beside, unsaid) if path.suffix == ".json" else _lines(path, beside, unsaid)
    elif files := [file for file in sorted(path.glob("*/*.jsonl")) if _layout(file)]:
        for file in files:
            yield from _lines(file, images or path, unsaid)
    elif (path / "raw").is_dir():
        yield from _multi30k(path, images or path, unsaid)
    else:
        raise DataError(
            f"expected captions in {path}: LANGUAGE/SPLIT.jsonl as of xFlickrCO, or raw/ and image_splits/ of Multi30k"
        )


def _layout(path: Path) -> re.Match[str] | None:
    """Matches the language and split in the path of a file of xFlickrCO."""
    return _XFLICKRCO.fullmatch(f"{path.parent.name}/{path.name}")


def _lines(path: Path, images: Path, unsaid: Unsaid) -> Iterator[Caption]:
    for captions in read_rows(path, "captions", lambda row: captions_of(row, path, images, unsaid)):
        yield from captions


def captions_of(row: Row, path: Path, images: Path, unsaid: Unsaid = _NOTHING) -> list[Caption]:
    """Parses a line of ours or of xFlickrCO in the file `path`. Raises ValueError with the reason if it is neither."""
    if "sentences" not in row:
        own = checked(_Own, row)
        image = picture_at(images, own.image)
        others = [picture_at(images, other) for other in own.true_of]
        language = language_code(own.language or unsaid.language or "en")
        split = own.split or unsaid.split or "train"
        return [Caption(image, own.caption, language, split, tuple(other for other in others if other != image))]
    published, layout = checked(_XFlickrCO, row), _layout(path)
    image = picture_at(images, published.img_path)
    language = unsaid.language or (layout["language"] if layout else "en")
    split = unsaid.split or (_split_of(layout["split"]) if layout else "train")
    return [Caption(image, text.strip(), language, split) for text in published.sentences]


def _split_of(name: str) -> Split:
    return "val" if name == "dev" else cast("Split", name)


def _document(path: Path, images: Path, unsaid: Unsaid) -> Iterator[Caption]:
    document = read_json(path, "captions")
    rows = document.get("images") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise DataError(
            f"{path}: expected an object with a list of images, as in Karpathy's splits (dataset_coco.json) or in "
            "COCO's own captions"
        )
    numbered = ((f"image {number}", row) for number, row in enumerate(rows, 1))
    annotations = document.get("annotations")
    if isinstance(annotations, list):
        yield from _coco(path, numbered, annotations, images, unsaid)
        return
    for captions in parse_all(path, numbered, lambda _, row: _of_picture(row, images, unsaid)).values():
        yield from captions


def _coco(
    path: Path, rows: Iterator[tuple[str, Any]], annotations: list[Any], images: Path, unsaid: Unsaid
) -> Iterator[Caption]:
    pictures = parse_all(path, rows, lambda _, row: checked(_CocoImage, row)).values()
    name_of = {picture.id: picture.file_name for picture in pictures}

    def caption(_: str, row: Any) -> Caption:
        found = checked(_CocoCaption, row)
        if found.image_id not in name_of:
            raise ValueError("expected image_id to be the id of one of the images, got another")
        image = picture_at(images, name_of[found.image_id])
        return Caption(image, found.caption, unsaid.language or "en", unsaid.split or "train")

    numbered = ((f"annotation {number}", row) for number, row in enumerate(annotations, 1))
    yield from parse_all(path, numbered, caption).values()


def _of_picture(row: object, images: Path, unsaid: Unsaid) -> list[Caption]:
    found = checked(_Karpathy, row)
    image = picture_at(images / found.filepath, found.filename)
    split, language = _KARPATHY_SPLITS[found.split], unsaid.language or "en"
    return [Caption(image, text.strip(), language, split) for text in found.sentences]


def _multi30k(folder: Path, images: Path, unsaid: Unsaid) -> Iterator[Caption]:
    """Reads a task of Multi30k: the same line in each file of a NAME has a text and its picture."""
    for file in sorted((folder / "raw").iterdir()):
        if not (match := _MULTI30K.fullmatch(file.name)):
            continue
        texts = _text_lines(file)
        shown = _text_lines(_image_list(folder / "image_splits", match["name"]))
        if len(texts) != len(shown):
            raise DataError(f"{file}: expected a text for each of {len(shown):,} pictures, got {len(texts):,}")
        split, language = unsaid.split or _split_of(match["split"]), unsaid.language or match["language"]
        for text, image in zip(texts, shown, strict=True):
            yield Caption(images / image.partition("#")[0], text, language, split)


def _image_list(folder: Path, name: str) -> Path:
    """Returns the list of pictures: NAME.txt in task 1, NAME_images.txt in task 2."""
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
