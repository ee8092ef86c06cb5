"""Files of texts: what is a text in them, in which language, and what is wrong with the other lines."""

from pathlib import Path

import pytest

from polyglance.data.texts import find_texts, text_hash
from polyglance.errors import DataError
from polyglance.query import MAX_CHARACTERS
from tests.shared_data import shared_data


def test_one_text_a_line(tmp_path: Path):
    file = tmp_path / "texts.txt"
    lines = "\ufeffa red star\r\n\n  красная звезда \n   \n\u3000\na\u00a0red  star\none with a\u2028separator in it"
    file.write_bytes(lines.encode())
    found = find_texts(file)
    assert list(found.languages.items()) == [
        ("a red star", "en"),
        ("красная звезда", "ru"),
        ("one with a separator in it", "en"),
    ]
    assert found.wrong == {}


def test_captions_bring_their_languages_and_their_pictures_are_left_aside(tmp_path: Path):
    file = tmp_path / "captions.jsonl"
    file.write_text(
        '{"image": "nowhere.png", "caption": "a star"}\n'
        '{"image": "a.png", "caption": "ein Stern", "language": "de"}\n'
        '{"image": "b.png", "caption": "a star", "language": "de"}\n'
    )
    assert list(find_texts(file).languages.items()) == [("a star", "en"), ("ein Stern", "de")]
    published = tmp_path / "id" / "test.jsonl"
    published.parent.mkdir()
    published.write_text('{"sentences": ["satu", "", "dua"], "id": "1", "img_path": "c.png"}\n')
    assert find_texts(published).languages == {"satu": "id", "dua": "id"}


def test_wrong_lines_are_named_and_the_others_are_read(tmp_path: Path):
    plain, lines = tmp_path / "texts.txt", tmp_path / "captions.jsonl"
    plain.write_bytes(b"a star\n\xff\xfe\n" + b"x" * (MAX_CHARACTERS + 1) + b"\na plate\n")
    lines.write_text('{"image": "a.png"}\nno JSON\n[1]\n{"image": "a.png", "caption": "a star"}\n')
    found = find_texts(plain)
    assert list(found.languages) == ["a star", "a plate"]
    assert list(found.wrong) == [2, 3]
    assert "UTF-8" in found.wrong[2]
    assert "at most 2,000 characters, got 2,001" in found.wrong[3]
    found = find_texts(lines)
    assert list(found.languages) == ["a star"]
    assert [reason.split()[0] for reason in found.wrong.values()] == ["caption", "no", "expected"]


def test_a_file_may_be_empty_but_must_be_there(tmp_path: Path):
    (tmp_path / "empty.txt").touch()
    assert find_texts(tmp_path / "empty.txt").languages == {}
    for path in (tmp_path / "nowhere.txt", tmp_path):
        with pytest.raises(DataError, match="texts, one a line"):
            find_texts(path)


def test_texts_in_utf_16_are_read_by_their_mark(tmp_path: Path):
    assert list(find_texts(shared_data() / "cases" / "texts_utf16.txt").languages) == ["ein Hund", "ein Stern"]
    unmarked = tmp_path / "unmarked.txt"
    unmarked.write_bytes("ein Hund".encode("utf-16-le"))
    found = find_texts(unmarked)
    assert found.languages == {}
    assert "UTF-16 is read only with its byte-order mark" in found.wrong[1]
    for encoding in ("utf-16", "utf-32", "utf-8-sig"):
        (tmp_path / "marked.txt").write_text("красная звезда\n", encoding=encoding)
        assert list(find_texts(tmp_path / "marked.txt").languages) == ["красная звезда"]
    (tmp_path / "torn.txt").write_bytes(b"\xff\xfea")
    with pytest.raises(DataError, match=r"torn\.txt: marked as UTF-16, but it is not"):
        find_texts(tmp_path / "torn.txt")


def test_the_parts_of_a_hash_are_told_apart():
    assert text_hash("a", "b") != text_hash("ab")
