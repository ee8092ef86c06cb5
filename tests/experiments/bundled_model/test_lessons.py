"""What the text side reads: in all languages, and nothing that it is measured on."""

import json
from pathlib import Path

import pytest
import torch

from experiments.bundled_model.lessons import (
    CLASS_CAPTIONS,
    class_captions,
    class_lessons,
    clip_art_lessons,
    mixed_lessons,
    name_lessons,
    photo_lessons,
    scene_lessons,
    word_lessons,
)
from experiments.bundled_model.words import LANGUAGES
from polyglance.data.gallery import gallery
from polyglance.errors import DataError
from tests.experiments.bundled_model.wheels import write_words


def test_a_caption_of_a_photograph_says_the_same_in_fifteen_languages() -> None:
    lessons = list(photo_lessons(400, 0))
    assert all(len(lesson.texts) == len(LANGUAGES) == 15 for lesson in lessons)
    assert all(lesson.taught == lesson.texts[LANGUAGES.index("en")] for lesson in lessons)
    assert len({lesson.taught for lesson in lessons}) > 350
    said = {lesson.taught: dict(zip(LANGUAGES, lesson.texts, strict=True)) for lesson in photo_lessons(6000, 1)}
    dog = next(of for text, of in said.items() if text.startswith("a dog is swimming in"))
    assert dog["de"].startswith("ein Hund schwimmt ")
    assert dog["zh"].startswith("一只狗在")
    assert dog["zh"].endswith("游泳")
    assert " " not in dog["ja"]


def test_the_verb_agrees_with_a_woman_where_the_language_asks_for_it() -> None:
    said = {lesson.taught: dict(zip(LANGUAGES, lesson.texts, strict=True)) for lesson in photo_lessons(20_000, 2)}
    man, woman = (next(of for text, of in said.items() if text == f"{who} is running") for who in ("a man", "a woman"))
    assert man["ar"].split()[-1].startswith("ي")
    assert woman["ar"].split()[-1].startswith("ت")
    assert man["hi"].endswith("ा है")
    assert woman["hi"].endswith("ी है")
    assert man["ru"].removeprefix("мужчина") == woman["ru"].removeprefix("женщина")


def test_no_name_that_is_held_out_in_its_language_is_read() -> None:
    read = {text for lesson in name_lessons() for text in lesson.texts}
    seen = {e.names[code] for e in gallery() for code in e.names if not e.name_is_held_out(code)}
    assert read == seen


def test_no_class_has_two_captions() -> None:
    told: list[int] = []
    for line in CLASS_CAPTIONS.read_text(encoding="utf-8").splitlines():
        first, _, last = line.split(" ")[0].partition("-")
        told += range(int(first), int(last or first) + 1)
    assert len(told) == len(set(told))
    assert set(told) <= set(range(1000))


def test_classes_have_a_caption_or_their_name() -> None:
    names = [f"thing {number}, other word" for number in range(1000)]
    said = class_captions(names)
    assert len(said) == 1000
    assert said[207] == "a dog playing outdoors"
    assert said[898] == "a person drinking from a water bottle"
    assert said[398] == "a photo of a thing 398"
    lessons = list(class_lessons(names))
    assert {"thing 0", "other word", "a dog playing outdoors"} <= {lesson.taught for lesson in lessons}


@pytest.fixture
def clip_art(tmp_path: Path) -> Path:
    lines = [
        {"image": f"{split}.png", "caption": f"Title of {split}", "language": "en", "split": split}
        for split in ("train", "val", "test")
    ]
    for line in lines:
        (tmp_path / line["image"]).write_bytes(b"")
    (tmp_path / "captions.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    keywords = lines[0] | {"caption": "horse, animal"}
    (tmp_path / "keywords.jsonl").write_text(f"{json.dumps(keywords)}\n", encoding="utf-8")
    return tmp_path


def test_clip_art_teaches_the_words_of_training_pictures_alone(clip_art: Path) -> None:
    assert [lesson.taught for lesson in clip_art_lessons(clip_art)] == ["Title of train", "horse, animal"]
    (clip_art / "captions.jsonl").write_text(
        (clip_art / "captions.jsonl").read_text(encoding="utf-8").splitlines()[2] + "\n", encoding="utf-8"
    )
    with pytest.raises(DataError, match="train"):
        list(clip_art_lessons(clip_art))


def test_scenes_teach_captions_and_questions_in_the_languages_of_the_demo() -> None:
    lessons = list(scene_lessons(10, 0))
    assert [lesson.kind for lesson in lessons] == ["questions", "captions"] * 5
    assert all(len(lesson.texts) == 8 for lesson in lessons)


@pytest.fixture
def words(tmp_path: Path) -> Path:
    return write_words(tmp_path, {"en": [["the"], ["dog"], ["cat", "house"]], "zh": [["狗"], ["猫"], ["家"]]})


def test_words_come_by_frequency_and_mixtures_are_about_one_thing(words: Path) -> None:
    assert [lesson.taught for lesson in word_lessons(words, "en", 3)] == ["the", "dog", "cat"]
    spoken = ["the", "dog", "cat"]
    vectors = torch.eye(3)
    mixed = list(mixed_lessons(words, "en", spoken, vectors, vectors[1:2], 30, 0))
    assert len(mixed) == 30
    assert any("dog" in lesson.taught.split() for lesson in mixed)
    chinese = list(mixed_lessons(words, "zh", ["狗", "猫", "家"], vectors, vectors, 5, 0))
    assert not any(" " in lesson.taught for lesson in chinese)
