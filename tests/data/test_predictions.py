"""Answers given elsewhere: the form of a file, and which file is of which language."""

import json
from pathlib import Path

import pytest

from polyglance.data.predictions import find_predictions, read_predictions, write_predictions
from polyglance.errors import DataError


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
            r"number 2: expected .*; number 3: expected",
        ),
        ('[{"questionId": "1", "prediction": 3}]', "number 1: expected"),
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


def test_files_are_found_by_language(tmp_path: Path) -> None:
    for name in ("test_de_0.json", "test_en_0.json", "test_en_48.json", "answers.json"):
        (tmp_path / name).touch()
    names = {"de": tmp_path / "test_de_0.json", "en": tmp_path / "test_en_0.json"}
    assert find_predictions(f"{tmp_path}/test_{{language}}_0.json") == names
    assert find_predictions(f"{tmp_path}/test_de_0.json") == {"de": names["de"]}
    assert find_predictions(f"{tmp_path}/answers.json") == {None: tmp_path / "answers.json"}
    with pytest.raises(DataError, match=r"got test_en_0\.json and test_en_48\.json: name them"):
        find_predictions(str(tmp_path))
    (tmp_path / "test_en_48.json").unlink()
    assert find_predictions(str(tmp_path)) == {None: tmp_path / "answers.json", **names}
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere_{language}.json"):
        with pytest.raises(DataError, match="but there is none"):
            find_predictions(f"{tmp_path}/{name}")
