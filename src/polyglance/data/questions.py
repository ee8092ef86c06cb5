"""Reads questions about pictures with their answers, from users' own files and from published data sets.

    FILE.jsonl   of ours: {"image": "relative/path.png", "question": "...", "answer": "...", "language": "en",
                 "split": "train", "id": "...", "types": {"structural": "query", "semantic": "attr"}}
    FILE.csv     of ours: a header with image, question and answer, and language, split and id if there are any
    FILE.json    GQA's and xGQA's, an object of questions by their ids: {"question", "answer", "imageId", "types",
                 "groups", "entailed", "isBalanced"}; or IGLUE's list: [{"question_id", "sent", "label", "img_id"}]

`image` is relative to the file. `language`, `split` (train, else val or test), `types` and `id` (its place among the
questions, from 1) may be left out. An answer that is a number is taken as its text.

Where a line does not say its language and split, the caller may. Else files with the published names of GQA
(`testdev_balanced_questions.json`) and xGQA (`testdev_balanced_questions_de.json`, `de/train_48.json`) are what these
say, and all others are English and of the split train. Published files name pictures without a suffix.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from polyglance.data.forms import Form, Id, Text, TextOrNumber, checked
from polyglance.data.image_formats import SUFFIXES
from polyglance.data.lines import (
    Row,
    Split,
    named,
    parse_all,
    picture_at,
    read_json,
    read_rows,
    require_pictures,
    short,
)
from polyglance.errors import DataError
from polyglance.languages import language_code

_SUFFIXES: Final = (".jpg", *sorted(SUFFIXES - {".jpg"}))
"""The suffixes to try, JPEG first, as GQA's pictures are JPEG."""
_SPLITS: Final[Mapping[str, Split]] = {"train": "train", "dev": "val", "val": "val", "test": "test", "testdev": "test"}
_XGQA: Final = "(?P<language>en|de|pt|ru|id|bn|ko|zh)"
_LAYOUTS: Final = (
    re.compile(rf".*/(?P<split>train|val|testdev|test)_(balanced|all)_questions(_{_XGQA})?\.json"),
    re.compile(rf"{_XGQA}/(?P<split>train|dev|test)(_\d+)?\.json"),
)
"""Matches the last folder and the file name."""


class _Types(Form):
    structural: Text | None = None
    semantic: Text | None = None
    detailed: Text | None = None


class _Own(Form):
    image: Text
    question: Text
    answer: TextOrNumber
    language: Text | None = None
    split: Split | None = None
    id: Id = ""
    types: _Types = _Types()


class _Groups(Form):
    of_answer: str | None = Field(default=None, alias="global")


class _Gqa(Form):
    question: Text
    answer: TextOrNumber
    picture: Text = Field(alias="imageId")
    types: _Types = _Types()
    groups: _Groups | None = None
    entailed: list[Id] = Field(default_factory=list)
    balanced: bool = Field(default=True, alias="isBalanced")


class _Iglue(Form):
    """A question of IGLUE. label: the answers with their weights."""

    question_id: Id
    picture: Text = Field(alias="img_id")
    sent: Text
    label: Annotated[dict[str, float], Field(min_length=1)]


@dataclass(frozen=True)
class Types:
    """The types of a question (GQA, arXiv:1902.09506, section 3.3); None if the file does not say.

    structural: the operation (query, verify, ...). semantic: the subject (rel, attr, ...). detailed: GQA's name of the
    template.
    """

    structural: str | None = None
    semantic: str | None = None
    detailed: str | None = None


@dataclass(frozen=True)
class Question:
    """A question about a picture with its answer.

    image: the picture's file. id: unique for each language of a file.

    Only in GQA: group: the class of the answer (`color`, `animal`). entailed: the ids of questions with answers that
    follow from this one's. balanced: whether the question counts, or is only there to be entailed by others.
    """

    image: Path
    question: str
    answer: str
    language: str = "en"
    split: Split = "train"
    id: str = ""
    types: Types = Types()
    group: str | None = None
    entailed: tuple[str, ...] = ()
    balanced: bool = True


def read_questions(
    path: Path,
    images: Path | None = None,
    with_pictures: bool = True,
    language: str | None = None,
    split: Split | None = None,
) -> list[Question]:
    """Reads all questions of a file, in order.

    images: the folder of the pictures; by default that of the file. with_pictures: whether every picture must exist.
    language, split: of questions without their own; they override the layout of published files.

    Raises DataError if the file is missing, empty or in none of these formats, or has wrong questions, ids repeated in
    a language or missing pictures, which the error names.
    """
    folder = images or path.parent
    if path.suffix == ".json":
        read = _document(path, folder, language, split)
    else:
        read = read_rows(path, "questions", lambda row: _own(row, folder, language, split))
    questions = [one if one.id else replace(one, id=str(place)) for place, one in enumerate(read, 1)]
    check_ids(questions, str(path))
    if with_pictures:
        require_pictures(path, (one.image for one in questions))
    return questions


def check_ids(questions: Iterable[Question], where: str) -> None:
    """Raises DataError if ids are repeated in a language; the error names them."""
    counts = Counter((one.language, one.id) for one in questions)
    if twice := [f"{code} {name}" for (code, name), count in counts.items() if count > 1]:
        raise DataError(f"{where}: expected each id once a language, but these come again: {named(twice)}")


def check_pictures(questions: Iterable[Question]) -> None:
    """Raises DataError if pictures are missing; the error names them."""
    if missing := [str(path) for path in dict.fromkeys(one.image for one in questions) if not path.is_file()]:
        raise DataError(
            f"there is no picture {named(missing)}: name their folder with --images, or ask by words alone with --blind"
        )


def of_split(questions: Sequence[Question], split: Split) -> list[Question]:
    """Returns the questions of a split. Raises DataError if there are none; it names the splits that have some."""
    found = [one for one in questions if one.split == split]
    if not found:
        there = ", ".join(sorted({one.split for one in questions}))
        raise DataError(f"expected questions of the split {split}, but there are only those of {there}")
    return found


def by_language(questions: Sequence[Question]) -> dict[str, list[Question]]:
    """Groups questions by language, in the order in which the languages first occur."""
    found: dict[str, list[Question]] = {}
    for question in questions:
        found.setdefault(question.language, []).append(question)
    return found


def _own(row: Row, folder: Path, language: str | None, split: Split | None) -> Question:
    """Parses a question of ours. Raises ValueError with the reason if it is not one."""
    own = checked(_Own, row)
    return Question(
        picture_at(folder, own.image),
        own.question,
        own.answer,
        language_code(own.language or language or "en"),
        own.split or split or "train",
        own.id,
        Types(own.types.structural, own.types.semantic, own.types.detailed),
    )


def _document(path: Path, folder: Path, language: str | None, split: Split | None) -> list[Question]:
    document = read_json(path, "questions")
    if not isinstance(document, dict | list):
        raise DataError(f"{path}: expected questions, as GQA's object or IGLUE's list, got {short(document)}")
    place = f"{path.parent.name}/{path.name}"
    layout = next((match for one in _LAYOUTS if (match := one.fullmatch(place))), None)
    language = language or (layout and layout["language"]) or "en"
    split = split or (_SPLITS[layout["split"]] if layout else "train")
    images: dict[str, Path] = {}

    def parse(key: str, row: Any) -> Question:
        picture, question = _gqa(key, row) if isinstance(document, dict) else _iglue(row)
        if picture not in images:
            images[picture] = _picture(folder, picture)
        return replace(question, image=images[picture], language=language, split=split)

    if isinstance(document, dict):
        found = list(parse_all(path, ((f"question {key}", row) for key, row in document.items()), parse).values())
    else:
        numbered = ((f"question number {number}", row) for number, row in enumerate(document, 1))
        found = list(parse_all(path, numbered, parse).values())
    if not found:
        raise DataError(f"{path}: expected questions, but there is none")
    return found


def _gqa(key: str, row: Any) -> tuple[str, Question]:
    """Returns the picture's name and the question without it."""
    found = checked(_Gqa, row)
    question = Question(
        Path(),
        found.question,
        found.answer,
        id=key.removeprefix("question "),
        types=Types(found.types.structural, found.types.semantic, found.types.detailed),
        group=found.groups.of_answer if found.groups else None,
        entailed=tuple(found.entailed),
        balanced=found.balanced,
    )
    return found.picture, question


def _iglue(row: Any) -> tuple[str, Question]:
    """Returns the picture's name and the question without it; the answer is the one with the most weight."""
    found = checked(_Iglue, row)
    answer = max(found.label, key=lambda one: found.label[one])
    return found.picture, Question(Path(), found.sent, answer, id=found.question_id)


def _picture(folder: Path, name: str) -> Path:
    """Returns the file of a picture by its name without a suffix."""
    paths = [folder / f"{name}{suffix}" for suffix in _SUFFIXES]
    return next((path for path in paths if path.is_file()), paths[0])
