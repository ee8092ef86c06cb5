"""Reads answers of other systems in GQA's format, [{"questionId": "...", "prediction": "..."}], one file per language.

A prediction that is a number is taken as its text. A file's language is the one in a name such as IGLUE gives its
results, `test_de_0_result.json`; no other name says one.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from glob import escape, glob
from pathlib import Path
from typing import Any, Final

from polyglance import atomic
from polyglance.data.forms import Form, Id, MaybeEmpty, checked
from polyglance.data.lines import named, parse_all, read_json, short
from polyglance.errors import DataError

LANGUAGE: Final = "{language}"
"""The placeholder for a language's code in a file name."""
_RESULT: Final = re.compile(r"test_(?P<language>[a-z]{2})_\d+_result\.json")


class _Prediction(Form):
    questionId: Id  # noqa: N815, as the files have it
    prediction: MaybeEmpty


def read_predictions(path: Path) -> dict[str, str]:
    """Reads the answers by question id.

    Raises DataError if the file has another form or answers questions twice; the error names them.
    """
    document = read_json(path, "predictions")
    if not isinstance(document, list):
        raise DataError(
            f'{path}: expected a list of {{"questionId": "...", "prediction": "..."}}, got {short(document)}'
        )

    def parse(_: str, row: Any) -> tuple[str, str]:
        found = checked(_Prediction, row)
        return found.questionId, found.prediction

    found = parse_all(path, ((f"number {place}", row) for place, row in enumerate(document, 1)), parse).values()
    answers = dict(found)
    if len(answers) < len(found):
        twice = [key for key, count in Counter(key for key, _ in found).items() if count > 1]
        raise DataError(f"{path}: expected one prediction a question, but these have more: {named(twice)}")
    return answers


def write_predictions(path: Path, answers: Mapping[str, str]) -> None:
    rows = [{"questionId": key, "prediction": answer} for key, answer in answers.items()]
    atomic.write_text(path, json.dumps(rows, ensure_ascii=False) + "\n")


def find_predictions(name: str) -> dict[str | None, Path]:
    """Finds the files by language in a folder, by a name with the placeholder `{language}`, or as a single file.

    The key is None if a file's name has no language. Raises DataError if there is no file, or a folder has several for
    one language.
    """
    path = Path(name)
    if LANGUAGE in name:
        pattern = re.compile(re.escape(name).replace(re.escape(LANGUAGE), "([a-z]{2,3})"))
        there = [
            (match[1], Path(file))
            for file in glob(escape(name).replace(escape(LANGUAGE), "*"))
            if (match := pattern.fullmatch(file))
        ]
    elif path.is_dir():
        there = [(_language_of(file), file) for file in path.glob("*.json")]
    else:
        return {_language_of(path): path}
    if not there:
        raise DataError(f"expected predictions, a file of JSON a language, in {name}, but there is none")
    found: dict[str | None, Path] = {}
    for language, file in sorted(there, key=lambda one: one[1]):
        if language in found:
            raise DataError(
                f"expected one file a language in {name}, got {found[language].name} and {file.name}: "
                f"name them as {LANGUAGE} does in '{name}/test_{LANGUAGE}.json'"
            )
        found[language] = file
    return found


def _language_of(file: Path) -> str | None:
    match = _RESULT.fullmatch(file.name)
    return match["language"] if match else None
