"""Questions about pictures with their answers, as users bring them and as the field publishes them.

    FILE.jsonl   of ours: {"image": "relative/path.png", "question": "...", "answer": "...", "language": "en",
                 "split": "train", "id": "...", "types": {"structural": "query", "semantic": "attr"}}
    FILE.json    GQA's and xGQA's, an object of questions by their ids: {"question", "answer", "imageId", "types",
                 "groups", "entailed", "isBalanced"}; or IGLUE's list: [{"question_id", "sent", "label", "img_id"}]

`image` is relative to the file. `language` may be left out (en), and so may `split` (train, else val or test), `types`
and `id` (its place among the questions, from 1). The published files name pictures without a suffix and say neither
language nor split; these are taken from the file's name and its folder's: `de/dev.json`, `testdev_balanced_de.json`.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from polyglance.data.image_formats import SUFFIXES
from polyglance.data.lines import Row, Split, named, read_bytes, read_lines, short, split_of, text_of
from polyglance.errors import DataError
from polyglance.languages import language_code

_SUFFIXES: Final = (".jpg", *sorted(SUFFIXES - {".jpg"}))
"""GQA's pictures are JPEG."""
_SPLITS: Final[Mapping[str, Split]] = {"train": "train", "dev": "val", "val": "val", "test": "test", "testdev": "test"}


@dataclass(frozen=True)
class Types:
    """What kind of question it is (GQA, arXiv:1902.09506, section 3.3); None where the file does not say.

    structural: what is to be done (query, verify, ...). semantic: what it is about (rel, attr, ...). detailed: GQA's
    name of the template.
    """

    structural: str | None = None
    semantic: str | None = None
    detailed: str | None = None


@dataclass(frozen=True)
class Question:
    """image: the picture's file. id: a file has it once a language.

    Of GQA alone: group, what the answer is one of (`color`, `animal`); entailed, the ids of questions whose answers
    follow from this one's; balanced, whether it counts, or stands there for others to entail it.
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


def read_questions(path: Path, images: Path | None = None, with_pictures: bool = True) -> list[Question]:
    """All questions of a file, in its order.

    images: the folder of the pictures, if it is not that of the file. with_pictures: each must be there.

    Raises DataError for a file that is missing, empty or none of these forms, for wrong questions, and for ids that a
    language has twice; all of these are named together.
    """
    folder = images or path.parent
    if path.suffix == ".json":
        read = _document(path, folder, with_pictures)
    else:
        read = read_lines(path, "questions", lambda row: _ours(row, folder, with_pictures))
    questions = [one if one.id else replace(one, id=str(place)) for place, one in enumerate(read, 1)]
    check_ids(questions, str(path))
    return questions


def check_ids(questions: Iterable[Question], where: str) -> None:
    """Raises DataError that names the ids that a language has twice."""
    counts = Counter((one.language, one.id) for one in questions)
    if twice := [f"{code} {name}" for (code, name), count in counts.items() if count > 1]:
        raise DataError(f"{where}: expected each id once a language, but these come again: {named(twice)}")


def check_pictures(questions: Iterable[Question]) -> None:
    """Raises DataError that names the pictures that are not there."""
    if missing := [str(path) for path in dict.fromkeys(one.image for one in questions) if not path.is_file()]:
        raise DataError(
            f"there is no picture {named(missing)}: name their folder with --images, or ask by words alone with --blind"
        )


def of_split(questions: Sequence[Question], split: Split) -> list[Question]:
    """Raises DataError for a split without questions, which names those that have some."""
    found = [one for one in questions if one.split == split]
    if not found:
        there = ", ".join(sorted({one.split for one in questions}))
        raise DataError(f"expected questions of the split {split}, but there are only those of {there}")
    return found


def read_json(path: Path, what: str) -> Any:
    """Raises DataError for a file that is missing or no JSON, and for an object that has a key twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
            raise DataError(f"{path}: expected each key once in an object, but these come again: {named(twice)}")
        return found

    try:
        return json.loads(read_bytes(path, what), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: no JSON: {error}") from error


def language_in_name(path: Path) -> str | None:
    """The code that stands in a file's name, `test_de_0.json`, or is its folder's, `de/dev.json`."""
    words = [word for word in re.split(r"[^A-Za-z]+", path.stem) if re.fullmatch("[a-z]{2}", word)]
    return words[-1] if words else path.parent.name if re.fullmatch("[a-z]{2}", path.parent.name) else None


def _split_in_name(path: Path) -> Split:
    return next((_SPLITS[word] for word in re.split(r"[^a-z]+", path.stem) if word in _SPLITS), "train")


def _ours(row: Row, folder: Path, with_pictures: bool) -> Question:
    """Raises ValueError with the reason where it is none."""
    image, question, answer = (text_of(row, key) for key in ("image", "question", "answer"))
    language, split = language_code(text_of(row, "language", "en")), split_of(row)
    if with_pictures and not (folder / image).is_file():
        raise ValueError(f"there is no picture {image!r} in {folder}")
    return Question(folder / image, question, answer, language, split, _id(row.get("id", "")), _types(row))


def _document(path: Path, folder: Path, with_pictures: bool) -> list[Question]:
    document = read_json(path, "questions")
    parse: Callable[[str, Row], tuple[str, Question]]
    if isinstance(document, dict):
        rows, parse = document, _gqa
    elif isinstance(document, list):
        rows, parse = {f"number {place}": row for place, row in enumerate(document, 1)}, _iglue
    else:
        raise DataError(f"{path}: expected questions, as GQA's object or IGLUE's list, got {short(document)}")
    found, wrong = [], []
    images: dict[str, Path] = {}
    language = language_in_name(path) or "en"
    split = _split_in_name(path)
    for key, row in rows.items():
        try:
            if not isinstance(row, dict):
                raise ValueError(f"expected an object, got {short(row)}")
            picture, question = parse(key, row)
            if picture not in images:
                images[picture] = _picture(folder, picture, with_pictures)
            found.append(replace(question, image=images[picture], language=language, split=split))
        except ValueError as error:
            wrong.append(f"question {key}: {error}")
    if wrong:
        raise DataError(f"{path}: {named(wrong)}")
    if not found:
        raise DataError(f"{path}: expected questions, but there is none")
    return found


def _gqa(key: str, row: Row) -> tuple[str, Question]:
    """(the picture's name, the question without it)."""
    entailed, groups = row.get("entailed", []), row.get("groups", {})
    if not (isinstance(entailed, list) and all(isinstance(one, str) for one in entailed)):
        raise ValueError(f"expected entailed to be a list of ids, got {short(entailed)}")
    if not (isinstance(groups, dict) and isinstance(group := groups.get("global"), str | None)):
        raise ValueError(f"expected groups to be an object of texts, got {short(groups)}")
    question = Question(
        Path(),
        text_of(row, "question"),
        text_of(row, "answer"),
        id=key,
        types=_types(row),
        group=group,
        entailed=tuple(entailed),
        balanced=row.get("isBalanced", True) is not False,
    )
    return text_of(row, "imageId"), question


def _iglue(_: str, row: Row) -> tuple[str, Question]:
    """As `_gqa`; the answer is the one of most weight."""
    label = row.get("label")
    if not (isinstance(label, dict) and label and all(isinstance(one, int | float) for one in label.values())):
        raise ValueError(f"expected label to be an object of answers with their weights, got {short(label)}")
    answer = max(label, key=lambda one: float(label[one]))
    return text_of(row, "img_id"), Question(Path(), text_of(row, "sent"), answer, id=_id(row.get("question_id")))


def _picture(folder: Path, name: str, needed: bool) -> Path:
    """The file of a picture of that name, whatever its kind. Raises ValueError where it is needed and not there."""
    paths = [folder / f"{name}{suffix}" for suffix in _SUFFIXES]
    found = next((path for path in paths if path.is_file()), None)
    if found is None and needed:
        raise ValueError(f"there is no picture {name!r} in {folder}")
    return found or paths[0]


def _types(row: Row) -> Types:
    types = row.get("types", {})
    if not isinstance(types, dict):
        raise ValueError(f"expected types to be an object, got {short(types)}")
    return Types(*(text_of(types, key) if key in types else None for key in ("structural", "semantic", "detailed")))


def _id(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"expected an id, a text or a whole number, got {short(value)}")
    return str(value).strip()
