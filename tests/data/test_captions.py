"""Captions in the forms in which users and the field keep them."""

import gzip
import json
from pathlib import Path

import pytest

from polyglance.data.captions import Caption, read_captions
from polyglance.errors import DataError
from tests.shared_data import shared_data

LINE = {"image": "a.png", "caption": "a dog"}


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_lines_of_ours(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"any")
    path = write(
        tmp_path / "captions.jsonl", LINE, {**LINE, "caption": " ein Hund ", "language": "de-DE", "split": "val"}
    )
    image = tmp_path / "a.png"
    assert read_captions(path) == [Caption(image, "a dog"), Caption(image, "ein Hund", "de", "val")]
    elsewhere = tmp_path / "pictures"
    assert read_captions(path, elsewhere, with_pictures=False)[0].image == elsewhere / "a.png"


def test_xflickrco_as_it_is_published() -> None:
    folder = shared_data() / "iglue" / "xflickrco" / "annotations"
    captions = read_captions(folder, with_pictures=False)
    assert len(captions) == 16_000
    assert {one.split for one in captions} == {"test"}
    assert list(dict.fromkeys(one.language for one in captions)) == ["de", "en", "es", "id", "ja", "ru", "tr", "zh"]
    (first, *_) = read_captions(folder / "de" / "test.jsonl", Path("pictures"), with_pictures=False)
    assert first == Caption(Path("pictures/1007129816.jpg"), "Der Mann trägt eine orange Wollmütze.", "de", "test")


def test_karpathys_splits(tmp_path: Path) -> None:
    rows = [
        {"filename": "a.jpg", "filepath": "val2014", "split": "restval", "sentences": [{"raw": "a"}, {"raw": "b "}]},
        {"filename": "b.jpg", "split": "test", "sentences": [{"raw": "c", "tokens": ["c"]}]},
    ]
    path = write(tmp_path / "dataset_coco.json", {"images": rows, "dataset": "coco"})
    assert read_captions(path, with_pictures=False) == [
        Caption(tmp_path / "val2014" / "a.jpg", "a", "en", "train"),
        Caption(tmp_path / "val2014" / "a.jpg", "b", "en", "train"),
        Caption(tmp_path / "b.jpg", "c", "en", "test"),
    ]


def test_multi30k(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "image_splits").mkdir()
    (tmp_path / "image_splits" / "test_2016_flickr.txt").write_text("1.jpg\n2.jpg\n")
    (tmp_path / "image_splits" / "train_images.txt").write_text("3.jpg#0\n")
    (tmp_path / "raw" / "test_2016_flickr.de.gz").write_bytes(gzip.compress(b"Ein Hund.\nZwei.\n"))
    (tmp_path / "raw" / "train.2.cs").write_text("pes\n")
    (tmp_path / "raw" / "README").write_text("no captions")
    assert read_captions(tmp_path, with_pictures=False) == [
        Caption(tmp_path / "1.jpg", "Ein Hund.", "de", "test"),
        Caption(tmp_path / "2.jpg", "Zwei.", "de", "test"),
        Caption(tmp_path / "3.jpg", "pes", "cs", "train"),
    ]
    (tmp_path / "raw" / "train.2.cs").write_text("pes\nlev\n")
    with pytest.raises(DataError, match=r"train\.2\.cs: expected a text for each of 1 pictures, got 2"):
        read_captions(tmp_path, with_pictures=False)
    (tmp_path / "raw" / "train.2.cs").unlink()
    (tmp_path / "raw" / "val.fr.gz").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"val\.fr\.gz: expected texts in UTF-8"):
        read_captions(tmp_path, with_pictures=False)
    (tmp_path / "raw" / "val.fr.gz").write_bytes(gzip.compress(b"Un chien.\n"))
    with pytest.raises(DataError, match=r"expected the pictures of val in .*val\.txt"):
        read_captions(tmp_path, with_pictures=False)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"image": "a.png"}, "caption is missing"),
        ({**LINE, "split": "dev"}, "expected split to be one of train, val, test, got 'dev'"),
        ({"img_path": "a.png", "sentences": []}, r"expected sentences to be a list of texts, got \[\]"),
        ({"img_path": "a.png", "sentences": ["a", 3]}, "expected sentences to be a list of texts"),
        ({"sentences": ["a"]}, "img_path is missing"),
        ([], r"expected an object, got \[\]"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, row: object, reason: str) -> None:
    path = write(tmp_path / "test.jsonl", LINE, row)
    with pytest.raises(DataError, match=rf"test\.jsonl: line 2: {reason}"):
        read_captions(path, with_pictures=False)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (3, "expected an object, got 3"),
        ({"filename": "a", "split": "dev"}, "expected split to be one of train, restval, val, test, got 'dev'"),
        ({"filename": "a", "split": "test", "sentences": [{"tokens": []}]}, "expected sentences"),
        ({"split": "test", "sentences": [{"raw": "a"}]}, "filename is missing"),
    ],
)
def test_a_wrong_picture_of_karpathys_is_named(tmp_path: Path, row: object, reason: str) -> None:
    path = write(tmp_path / "coco.json", {"images": [row]})
    with pytest.raises(DataError, match=rf"coco\.json: image 1: {reason}"):
        read_captions(path, with_pictures=False)


def test_what_holds_no_captions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"captions, JSON Lines, at .*nowhere: no such file"):
        read_captions(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"expected captions in .*: LANGUAGE/SPLIT"):
        read_captions(tmp_path)
    for content, reason in (("{", "no JSON"), ("[]", "a list of images"), ('{"images": []}', "there is none")):
        (tmp_path / "coco.json").write_text(content)
        with pytest.raises(DataError, match=reason):
            read_captions(tmp_path / "coco.json")


def test_pictures_that_are_not_there_are_named_together(tmp_path: Path) -> None:
    path = write(tmp_path / "captions.jsonl", *({**LINE, "image": f"{number}.png"} for number in (1, 2, 1)))
    with pytest.raises(DataError, match=r"captions\.jsonl: there is no picture .*1\.png; .*2\.png$"):
        read_captions(path)
