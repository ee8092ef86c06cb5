"""Questions about pictures with their answers, as users bring them: a file of JSON Lines.

    {"image": "relative/path.png", "question": "...", "answer": "...", "language": "en", "split": "train"}

`image` is relative to the file. `language` may be left out (en), and so may `split` (train, else val or test). Whatever
else stands in a line is for others.
"""

from dataclasses import dataclass
from pathlib import Path

from polyglance.data.lines import Row, Split, read_lines, split_of, text_of


@dataclass(frozen=True)
class Question:
    """One line. image: the picture's file, which was there."""

    image: Path
    question: str
    answer: str
    language: str = "en"
    split: Split = "train"


def read_questions(path: Path) -> list[Question]:
    """All questions of a file, in its order; empty lines are skipped.

    Raises DataError for a file that is missing or holds none, and for one with wrong lines, which it names.
    """
    return read_lines(path, "questions", lambda row: _question(row, path.parent))


def _question(row: Row, folder: Path) -> Question:
    """Raises ValueError with the reason where it is none."""
    image, question, answer = (text_of(row, key) for key in ("image", "question", "answer"))
    language, split = text_of(row, "language", "en"), split_of(row)
    if not (folder / image).is_file():
        raise ValueError(f"there is no picture {image!r} beside the file")
    return Question(folder / image, question, answer, language, split)
