"""Collages and questions of the experiment: the same for the same settings, and no answer that the picture belies."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.emoji_questions import GROUNDS, GROUPS, SMALL, Placed, asked, make_questions, require_apart
from polyglance.data.gallery import gallery
from polyglance.data.questions import Question, read_questions
from polyglance.errors import DataError

OF = {GROUPS[entry.group]: entry for entry in gallery()}


def test_the_same_settings_make_the_same_files(tmp_path: Path) -> None:
    settings = replace(SMALL, train=3, val=1, test=1)
    for name in ("a", "b"):
        make_questions(settings, tmp_path / name)
    for first in sorted((tmp_path / "a").iterdir()):
        assert first.read_bytes() == (tmp_path / "b" / first.name).read_bytes()
    questions = read_questions(tmp_path / "a" / "questions.jsonl")
    assert {one.split for one in questions} == {"train", "val", "test"}
    assert len({one.image for one in questions}) == 5


def test_a_collage_in_two_splits_is_refused(tmp_path: Path) -> None:
    questions = read_questions(make_questions(replace(SMALL, train=3, val=2, test=2), tmp_path))
    require_apart(questions)
    trained_on = next(one for one in questions if one.split == "train")
    for image in (trained_on.image, tmp_path / "copy.jpg"):
        image.write_bytes(trained_on.image.read_bytes())
        with pytest.raises(DataError, match=r"expected each (picture|content of a picture) in one split"):
            require_apart([*questions, Question(image, "why?", "so", split="test")])


def test_answers_are_those_of_the_collage() -> None:
    placed = [Placed(OF["food"], 40, 50, 60), Placed(OF["people"], 130, 50, 60), Placed(OF["food"], 210, 50, 60)]
    said = Counter[str]()
    for seed in range(60):
        found = {kind: (question, answer) for kind, question, answer in asked("pink", placed, random.Random(seed))}
        assert found["ground"][1] == "pink" in GROUNDS
        assert found["number"][1] == "3"
        assert found["group"][1] == "food"
        question, answer = found["present"]
        assert (answer == "yes") == any(f"group {group}?" in question for group in ("food", "people"))
        said[answer] += 1
        assert "place" not in found
    assert min(said["yes"], said["no"]) > 15
    two = [replace(placed[0], x=200), placed[1]]
    places = [row for seed in range(20) for row in asked("pink", two, random.Random(seed)) if row[0] == "place"]
    for _, question, answer in places:
        assert answer == ("right" if "emoji of the group food" in question else "left")
    assert places
