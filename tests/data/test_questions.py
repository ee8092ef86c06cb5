import json
from pathlib import Path

import pytest

from polyglance.data.image_formats import SUFFIXES
from polyglance.data.questions import Question, Types, of_split, read_questions
from polyglance.errors import DataError
from polyglance.languages import DEMO_LANGUAGES
from tests.shared_data import shared_data

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
    more = {"language": "DE", "split": "test", "types": {"structural": "query"}, "id": 7}
    path = write(folder, LINE, b"", {**LINE, **more, "answer": " zwei "})
    assert read_questions(path) == [
        Question(folder / "a.png", "What is it?", "a dog", "en", "train", "1"),
        Question(folder / "a.png", "What is it?", "zwei", "de", "test", "7", Types("query")),
    ]


def test_a_byte_order_mark_and_windows_ends_do_no_harm(folder: Path) -> None:
    path = folder / "questions.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(LINE).encode() + b"\r\n\r\n")
    assert len(read_questions(path)) == 1


WRONG = [
    (b"{torn", "no JSON"),
    (b'{"image": "\xff"}', "no valid UTF-8"),
    ([1, 2], r"expected an object, got \[1, 2\]"),
    ({**LINE, "image": ""}, "image is empty"),
    ({"image": "a.png", "answer": "x"}, "question is missing"),
    ({**LINE, "answer": [3]}, r"expected answer to be a text, got \[3\]"),
    ({**LINE, "answer": None}, "expected answer to be a text, got None"),
    ({**LINE, "question": " "}, "question is empty"),
    ({**LINE, "language": ["en"]}, "expected language to be a text"),
    ({**LINE, "split": "training"}, "expected split to be one of train, val, test, got 'training'"),
    ({**LINE, "types": ["query"]}, r"expected types to be an object, got \['query'\]"),
    ({**LINE, "types": {"semantic": 3}}, "expected types.semantic to be a text, got 3"),
    ({**LINE, "id": 1.5}, "expected an id, a text or a whole number, got 1.5"),
]


@pytest.mark.parametrize(("line", "reason"), WRONG)
def test_a_wrong_line_is_named(folder: Path, line: object, reason: str) -> None:
    with pytest.raises(DataError, match=rf"questions\.jsonl: line 3: {reason}") as caught:
        read_questions(write(folder, LINE, LINE, line))
    assert "\n" not in str(caught.value)


def test_all_wrong_lines_are_named_together(folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_questions(write(folder, *(line for line, _ in WRONG)))
    assert all(f"line {number}: " in str(caught.value) for number in range(1, 11))
    assert str(caught.value).endswith(f"and {len(WRONG) - 10} more")


def test_one_cause_is_one_reason_however_many_lines_it_has(folder: Path) -> None:
    wrong = [{**LINE, "split": "training"}] * 2000
    with pytest.raises(DataError) as caught:
        read_questions(write(folder, b"{}", *wrong, LINE))
    said = "line 2, line 3, line 4, and 1,997 more: expected split to be one of train, val, test, got 'training'"
    assert str(caught.value).endswith(said)
    assert str(caught.value).count("line 1: ") == 1
    with pytest.raises(DataError) as caught:
        read_questions(write(folder, *[{**LINE, "image": f"{row % 30}.png"} for row in range(2000)]))
    assert str(caught.value).count(".png") == 20
    assert str(caught.value).endswith("; and 10 more")


def test_answers_that_are_numbers_are_taken_as_their_text() -> None:
    answers = [one.answer for one in read_questions(shared_data() / "cases" / "q_int.jsonl", with_pictures=False)]
    assert answers[:3] == ["2", "true", "1.5"]
    assert set(map(type, answers)) == {str}


def test_questions_in_csv(folder: Path) -> None:
    (folder / "q.csv").write_text('image,question,answer,language\n a.png,"What, is it?",2,\na.png,Was?,ein Hund,de\n')
    assert read_questions(folder / "q.csv") == [
        Question(folder / "a.png", "What, is it?", "2", id="1"),
        Question(folder / "a.png", "Was?", "ein Hund", "de", id="2"),
    ]
    (folder / "q.csv").write_text("image;question;answer\na.png;What?;2\n")
    with pytest.raises(DataError, match=r"q\.csv: line 2: image is missing; question is missing; answer is missing"):
        read_questions(folder / "q.csv")


def test_a_file_that_is_missing_or_empty_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"JSON Lines, at .*nowhere\.jsonl: no such file"):
        read_questions(folder / "nowhere.jsonl")
    with pytest.raises(DataError, match="but there is none"):
        read_questions(write(folder, b"", b"  "))


def test_pictures_may_lie_elsewhere_or_nowhere(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write(tmp_path_factory.mktemp("elsewhere"), LINE)
    assert read_questions(path, images=folder)[0].image == folder / "a.png"
    assert read_questions(path, with_pictures=False)[0].image == path.parent / "a.png"


def test_an_id_stands_once_a_language(folder: Path) -> None:
    german = {**LINE, "language": "de"}
    read_questions(write(folder, {**LINE, "id": "a"}, {**german, "id": "a"}, {**LINE, "id": 2}))
    with pytest.raises(DataError, match=r"once a language, but these come again: en a; de 7$"):
        read_questions(write(folder, *[{**LINE, "id": "a"}] * 3, *[{**german, "id": 7}] * 2, {**german, "id": "a"}))


def test_a_split_that_is_not_there(folder: Path) -> None:
    questions = read_questions(write(folder, LINE, {**LINE, "split": "val"}))
    assert of_split(questions, "val") == questions[1:]
    with pytest.raises(DataError, match="of the split test, but there are only those of train, val"):
        of_split(questions, "test")


GQA = {
    "question": "What is it?",
    "answer": "dog",
    "imageId": "a",
    "types": {"structural": "query", "semantic": "obj", "detailed": "directOf"},
    "groups": {"global": "animal"},
    "entailed": ["12", "11"],
    "isBalanced": True,
}
IGLUE = {"question_id": 11, "img_id": "a", "label": {"cat": 0.3, "dog": 1.0}, "sent": "What is it?"}


def document(folder: Path, content: object, name: str = "dev.json") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_gqas_form(folder: Path) -> None:
    found = read_questions(
        document(folder, {"11": GQA, "12": {**GQA, "isBalanced": False, "groups": {"global": None}}})
    )
    types = Types("query", "obj", "directOf")
    first = Question(
        folder / "a.png", "What is it?", "dog", "en", "train", "11", types, group="animal", entailed=("12", "11")
    )
    assert found[0] == first
    assert (found[1].id, found[1].balanced, found[1].group) == ("12", False, None)


def test_gqas_own_file_says_its_split_and_no_language() -> None:
    found = read_questions(shared_data() / "cases" / "testdev_balanced_questions.json", with_pictures=False)
    assert [(one.id, one.answer, one.language, one.split) for one in found] == [
        ("201307251", "no", "en", "test"),
        ("201640614", "woman", "en", "test"),
        ("202225914", "2", "en", "test"),
    ]
    assert found[0].entailed == ("201307252", "201640614")


def test_iglues_form(folder: Path) -> None:
    assert read_questions(document(folder, [IGLUE], "de/testdev.json"), images=folder) == [
        Question(folder / "a.png", "What is it?", "dog", "en", "train", "11")
    ]


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_a_picture_is_found_with_the_suffix_of_any_format(folder: Path, suffix: str) -> None:
    (folder / f"7{suffix}").touch()
    (question,) = read_questions(document(folder, {"1": {**GQA, "imageId": "7"}}), images=folder)
    assert question.image == folder / f"7{suffix}"


@pytest.mark.parametrize(
    ("name", "code", "split"),
    [
        ("de/dev.json", "de", "val"),
        ("zh/train_1.json", "zh", "train"),
        ("testdev_balanced_questions_id.json", "id", "test"),
        ("val_balanced_questions.json", "en", "val"),
        ("dev.json", "en", "train"),
        ("test_no_images.json", "en", "train"),
        ("my/test.json", "en", "train"),
        ("no/testdev_balanced_questions.json", "en", "test"),
    ],
)
def test_only_published_layouts_say_language_and_split(folder: Path, name: str, code: str, split: str) -> None:
    path = document(folder, {"1": GQA}, name)
    (one,) = read_questions(path, images=folder)
    assert (one.language, one.split) == (code, split)
    (one,) = read_questions(path, folder, language="fr", split="val")
    assert (one.language, one.split) == ("fr", "val")


def test_what_a_line_says_wins(folder: Path) -> None:
    path = write(folder, {**LINE, "language": "de", "split": "test"}, LINE)
    found = read_questions(path, language="fr", split="val")
    assert [(one.language, one.split) for one in found] == [("de", "test"), ("fr", "val")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{torn", "no JSON"),
        ("3", "expected questions, as GQA's object or IGLUE's list, got 3"),
        ({}, "but there is none"),
        ([], "but there is none"),
        ({"1": GQA, "2": [1]}, r"question 2: expected an object, got \[1\]"),
        ({"1": {**GQA, "imageId": "b"}}, r"there is no picture .*b\.jpg"),
        ({"1": {**GQA, "answer": None}}, "question 1: expected answer to be a text, got None"),
        ({"1": {**GQA, "entailed": "2"}}, "question 1: expected entailed to be a list, got '2'"),
        ({"1": {**GQA, "groups": [1]}}, r"question 1: expected groups to be an object, got \[1\]"),
        ([IGLUE, {**IGLUE, "label": "dog"}], "question number 2: expected label to be an object"),
        ([{**IGLUE, "question_id": None}], "question number 1: expected an id"),
        ([IGLUE, IGLUE], "once a language, but these come again: en 11"),
        ('{"1": {}, "2": {}, "1": {}}', "expected each key once in an object, but these come again: 1$"),
    ],
)
def test_a_wrong_document_is_one_clear_line(folder: Path, content: object, reason: str) -> None:
    with pytest.raises(DataError, match=rf"dev\.json: .*{reason}") as caught:
        read_questions(document(folder, content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("language", DEMO_LANGUAGES)
def test_the_published_questions_are_read(language: str) -> None:
    folder = shared_data() / "xgqa" / "few_shot" / language
    dev, train = (read_questions(folder / f"{name}.json", with_pictures=False) for name in ("dev", "train_48"))
    assert (len(dev), len({one.image for one in dev})) == (1422, 50)
    assert (len(train), len({one.image for one in train})) == (1490, 48)
    assert {one.types.structural for one in dev} == {"query", "verify", "logical", "choose", "compare"}
    assert {one.types.semantic for one in dev} == {"rel", "attr", "cat", "obj", "global"}
    assert {one.language for one in dev} == {language}
    shots = [{one.id for one in read_questions(folder / f"train_{n}.json", with_pictures=False)} for n in (1, 5, 10)]
    assert shots[0] < shots[1] < shots[2] < {one.id for one in train}
