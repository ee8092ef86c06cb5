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


@pytest.mark.parametrize(
    ("name", "language", "split"),
    [
        ("id/test.jsonl", "id", "test"),
        ("es/train_100.jsonl", "es", "train"),
        ("ja/dev.jsonl", "ja", "val"),
        ("my/test.jsonl", "en", "train"),
        ("de/captions.jsonl", "en", "train"),
    ],
)
def test_only_xflickrcos_layout_says_language_and_split(tmp_path: Path, name: str, language: str, split: str) -> None:
    path = write(tmp_path / name, {"img_path": "a.png", "sentences": ["a"]}, LINE)
    said = [(one.language, one.split) for one in read_captions(path, with_pictures=False)]
    assert said == [(language, split), ("en", "train")]
    told = read_captions(path, with_pictures=False, language="tr", split="val")
    assert [(one.language, one.split) for one in told] == [("tr", "val")] * 2


def test_what_a_line_says_wins(tmp_path: Path) -> None:
    path = write(tmp_path / "captions.jsonl", {**LINE, "language": "de"}, {**LINE, "split": "test"})
    found = read_captions(path, with_pictures=False, language="fr", split="val")
    assert [(one.language, one.split) for one in found] == [("de", "val"), ("fr", "test")]


def test_cocos_own_captions(tmp_path: Path) -> None:
    path = shared_data() / "cases" / "captions_val2014.json"
    captions = read_captions(path, tmp_path, with_pictures=False, split="test")
    first = Caption(tmp_path / "scene_2500000.png", "A sailboat on an orange plate above a sailboat.", "en", "test")
    assert captions[0] == first
    assert len(captions) == 12
    rows = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 2, "caption": "a"}] * 500}
    with pytest.raises(DataError, match=r"annotation 3, and 497 more: expected image_id to be the id of one of the"):
        read_captions(write(tmp_path / "coco.json", rows), with_pictures=False)


def test_backslashes_of_windows_are_separators(tmp_path: Path) -> None:
    path = shared_data() / "cases" / "windows.jsonl"
    (tmp_path / "images").mkdir()
    for row in path.read_text().splitlines():
        (tmp_path / json.loads(row)["image"].replace("\\", "/")).touch()
    captions = read_captions(path, tmp_path)
    assert captions[0].image == tmp_path / "images" / "scene_2500000.png"
    odd = tmp_path / "odd\\name.png"
    odd.touch()
    assert read_captions(write(tmp_path / "c.jsonl", {**LINE, "image": odd.name}))[0].image == odd


def test_captions_in_csv(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_bytes('\ufeffimage,caption,split\r\na.png,"a dog, barking",\r\n\r\na.png,ein\u00e9,val\r\n'.encode())
    assert read_captions(path, with_pictures=False) == [
        Caption(tmp_path / "a.png", "a dog, barking"),
        Caption(tmp_path / "a.png", "ein\u00e9", split="val"),
    ]
    path.write_bytes(b'image,caption\na.png,"torn\n')
    with pytest.raises(DataError, match=r"captions\.csv: expected CSV with a header: unexpected end of data"):
        read_captions(path, with_pictures=False)


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
        ({"img_path": "a.png", "sentences": []}, "sentences is empty"),
        ({"img_path": "a.png", "sentences": ["a", 3]}, "expected sentences.1 to be a text, got 3"),
        ({**LINE, "true_of": "b.png"}, "expected true_of to be a list, got 'b.png'"),
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
        (
            {"filename": "a", "split": "test", "sentences": [{"tokens": []}]},
            "expected sentences.0 to be a text, got None",
        ),
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
