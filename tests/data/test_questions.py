import json
from pathlib import Path

import pytest

from polyglance.data.questions import Question, read_questions
from polyglance.errors import DataError

LINE = {"image": "a.png", "question": "What is it?", "answer": "a dog"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(b"any")
    return tmp_path


def write(folder: Path, *lines: object) -> Path:
    path = folder / "questions.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    return path


def test_questions_are_read_in_order(folder: Path) -> None:
    more = {"language": "de", "split": "test", "types": {"structural": "query"}, "id": 7}
    path = write(folder, LINE, b"", {**LINE, **more, "answer": " zwei "})
    assert read_questions(path) == [
        Question(folder / "a.png", "What is it?", "a dog", "en", "train"),
        Question(folder / "a.png", "What is it?", "zwei", "de", "test"),
    ]


def test_a_byte_order_mark_and_windows_ends_do_no_harm(folder: Path) -> None:
    path = folder / "questions.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(LINE).encode() + b"\r\n\r\n")
    assert len(read_questions(path)) == 1


WRONG = [
    (b"{torn", "no JSON"),
    (b'{"image": "\xff"}', "no valid UTF-8"),
    ([1, 2], r"expected an object, got \[1, 2\]"),
    ({**LINE, "image": "b.png"}, "there is no picture 'b.png' beside the file"),
    ({**LINE, "image": ""}, "image is empty"),
    ({"image": "a.png", "answer": "x"}, "question is missing"),
    ({**LINE, "answer": 3}, "expected answer to be a text, got 3"),
    ({**LINE, "answer": None}, "expected answer to be a text, got None"),
    ({**LINE, "question": " "}, "question is empty"),
    ({**LINE, "language": ["en"]}, "expected language to be a text"),
    ({**LINE, "split": "training"}, "expected split to be one of train, val, test, got 'training'"),
]


@pytest.mark.parametrize(("line", "reason"), WRONG)
def test_a_wrong_line_is_named(folder: Path, line: object, reason: str) -> None:
    with pytest.raises(DataError, match=rf"questions\.jsonl: line 3: {reason}") as caught:
        read_questions(write(folder, LINE, LINE, line))
    assert "\n" not in str(caught.value)


def test_all_wrong_lines_are_named_together(folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_questions(write(folder, *(line for line, _ in WRONG)))
    assert all(f"line {number}: " in str(caught.value) for number in range(1, len(WRONG) + 1))
    with pytest.raises(DataError, match=r"line 20: .*; and 1,980 more$"):
        read_questions(write(folder, *[b"{torn"] * 2000))


def test_a_file_that_is_missing_or_empty_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"JSON Lines, at .*nowhere\.jsonl: no such file"):
        read_questions(folder / "nowhere.jsonl")
    with pytest.raises(DataError, match="but there is none"):
        read_questions(write(folder, b"", b"  "))
