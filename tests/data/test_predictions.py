"""Answers given elsewhere: the form of a file, and which file is of which language."""

import json
from pathlib import Path

import pytest

from polyglance.data.predictions import find_predictions, read_predictions, write_predictions
from polyglance.errors import DataError
from tests.shared_data import shared_data


def test_what_is_written_is_read(tmp_path: Path) -> None:
    answers = {"201307251": "no", "12": "weiß", "a": ""}
    write_predictions(tmp_path / "p.json", answers)
    assert read_predictions(tmp_path / "p.json") == answers
    assert json.loads((tmp_path / "p.json").read_text())[0] == {"questionId": "201307251", "prediction": "no"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[torn", "no JSON"),
        ('{"1": "no"}', "expected a list of"),
        (
            '[{"questionId": "1", "prediction": "no"}, {"questionId": "2"}, 3]',
            r"number 2: prediction is missing; number 3: expected an object, got 3",
        ),
        ('[{"questionId": "1", "prediction": [3]}]', r"number 1: expected prediction to be a text, got \[3\]"),
        (
            '[{"questionId": "1", "prediction": "no"}, {"questionId": 1, "prediction": "no"}]',
            "one prediction a question, but these have more: 1$",
        ),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(DataError, match=rf"p\.json: .*{reason}") as caught:
        read_predictions(tmp_path / "p.json")
    assert "\n" not in str(caught.value)


def test_predictions_that_are_numbers_are_taken_as_their_text() -> None:
    assert read_predictions(shared_data() / "cases" / "pred_intanswer.json") == {"201307251": "no", "202225914": "2"}


def test_no_language_is_made_up_from_a_name() -> None:
    path = shared_data() / "cases" / "pred_no_images.json"
    assert find_predictions(str(path)) == {None: path}


def test_files_are_found_by_language(tmp_path: Path) -> None:
    for name in ("test_de_0_result.json", "test_en_0_result.json", "test_en_48_result.json", "answers.json"):
        (tmp_path / name).touch()
    names = {"de": tmp_path / "test_de_0_result.json", "en": tmp_path / "test_en_0_result.json"}
    assert find_predictions(f"{tmp_path}/test_{{language}}_0_result.json") == names
    assert find_predictions(f"{tmp_path}/test_de_0_result.json") == {"de": names["de"]}
    assert find_predictions(f"{tmp_path}/answers.json") == {None: tmp_path / "answers.json"}
    with pytest.raises(DataError, match=r"got test_en_0_result\.json and test_en_48_result\.json: name them"):
        find_predictions(str(tmp_path))
    (tmp_path / "test_en_48_result.json").unlink()
    assert find_predictions(str(tmp_path)) == {None: tmp_path / "answers.json", **names}
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere_{language}.json"):
        with pytest.raises(DataError, match="but there is none"):
            find_predictions(f"{tmp_path}/{name}")
