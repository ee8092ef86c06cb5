"""The experiment at a thousandth of its size, and what makes its figures mean what they say."""

import json
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pytest
import torch

from experiments.pretraining.text_stage import sample_meaning
from experiments.results import open_folder
from experiments.xgqa.aligned import PARTS, AlignedModel
from experiments.xgqa.asked import EACH, of_training_pictures
from experiments.xgqa.bodies import NINTH, SOURCE_LANGUAGE, TARGETS, World, bundled
from experiments.xgqa.dictionary import dictionary, switched
from experiments.xgqa.few_shot import Shots
from experiments.xgqa.measures import answers, recall
from experiments.xgqa.plots import draw
from experiments.xgqa.settings import SMALL
from experiments.xgqa.tables import TABLES, few_shot, seeds, zero_shot
from experiments.xgqa.ways import TRANSLATED, WAYS, beside_english, translations
from polyglance.adapters.routing import Adaptation
from polyglance.data.corpora import Translation
from polyglance.errors import DataError
from polyglance.models.protocol import ImageBatch
from polyglance.scenes import meaning as m
from polyglance.scenes.questions import answer
from polyglance.scenes.sampling import FIRST_SEED, Scene, sample_scene, split_of

LANGUAGES = (SOURCE_LANGUAGE, *TARGETS, NINTH)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("xgqa")
    open_folder(folder, SMALL)
    return World(SMALL, folder, lambda *told: None, 0)


def test_sentences_of_two_languages_are_of_different_scenes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    said_of: dict[str, set[int]] = {}
    for code in LANGUAGES:
        seeds = said_of.setdefault(code, set())
        monkeypatch.setattr(
            "experiments.xgqa.bodies.sample_meaning",
            lambda scene, rng, seeds=seeds: seeds.add(scene.seed) or sample_meaning(scene, rng),
        )
        sentences = world.sentences(code)
        assert len(sentences) == len(set(sentences)) == SMALL.sentences
    everyone = [seed for seeds in said_of.values() for seed in seeds]
    assert len(everyone) == len(set(everyone))
    assert min(everyone) >= TRANSLATED + SMALL.translations
    assert max(everyone) < 1_000_000


def test_translations_say_one_thing_and_are_at_most_so_many(world: World) -> None:
    german, french = translations(world, "de"), translations(world, NINTH)
    assert len(german) == SMALL.translations <= 500
    assert [one.known for one in german] == [one.known for one in french]
    assert all(one.language == SOURCE_LANGUAGE for one in german)


def test_words_are_aligned_by_what_they_come_with() -> None:
    """Each noun with each colour: what stands beside it everywhere is no translation of it. `Mond` comes once."""
    nouns, colours = {"star": "Stern", "dog": "Hund", "cat": "Katze"}, {"red": "rot", "blue": "blau", "green": "grün"}
    pairs = [
        Translation(f"Ein {noun}, {colour}er Art.", f"A {said} {known}.", "en")
        for known, noun in nouns.items()
        for said, colour in colours.items()
    ]
    found = dictionary([*pairs, Translation("Der Mond über dem Meer.", "The moon above the sea.", "en")])
    best = {known: max(words, key=words.__getitem__) for known, words in found.items() if words}
    expected = {**{known: noun.lower() for known, noun in nouns.items()}, "red": "roter", "blue": "blauer"}
    assert expected.items() <= best.items()
    assert "mond" not in (word for words in found.values() for word in words)
    mixed = {switched("A red star.", found, random.Random(seed)) for seed in range(40)}
    assert "A red star." in mixed
    assert any("roter" in one and "star" in one for one in mixed)
    assert any("red" in one and "stern" in one for one in mixed)
    assert dictionary([Translation("两只红色的狗", "two red dogs", "en"), Translation("一只狗", "a dog", "en")])


def test_half_of_what_is_held_beside_english_is_english_with_words_in_it(world: World) -> None:
    by_name = {way.name: way for way in WAYS}
    assert beside_english(world, by_name["adapters"], "de") == []
    assert beside_english(world, by_name["translate-train"], "de") == []
    known = translations(world, "de")
    assert beside_english(world, by_name["translations beside pictures"], "de") == known
    mixed = Counter(beside_english(world, by_name["code-switched"], "de"))
    times = SMALL.sentences // len(known)
    assert all(mixed.pop(one) == times * known.count(one) for one in set(known))
    assert mixed.total() == SMALL.sentences
    assert any(one.sentence != one.known for one in mixed)


def test_translated_questions_are_asked_of_pictures_that_answer_them(world: World) -> None:
    few = World(replace(SMALL, scenes=30), world.folder, world.report, 0)
    seed = next(seed for seed in range(99) if sample_scene(seed).background == "sea")
    asked = {seed: m.WhatBackground(), TRANSLATED: m.HowMany("animal")}
    found = of_training_pictures(few, asked)
    scenes = [sample_scene(one) for one in (*asked, *range(30))]
    assert len(found.states) == len(scenes) == 32
    assert all(answer(scenes[row], question) == right for row, question, right in found.rows)
    counts = Counter((question, right) for _, question, right in found.rows)
    assert counts[m.WhatBackground(), "sea"] >= 1
    assert max(counts.values()) == EACH
    assert {question for question, _ in counts} == set(asked.values())


class OnTraining(World):
    @cached_property
    def test_scenes(self) -> list[Scene]:
        return self.scenes[: SMALL.pictures]


class OnShots(World):
    @cached_property
    def test_scenes(self) -> list[Scene]:
        return [sample_scene(FIRST_SEED["val"] + 1 + number) for number in range(SMALL.pictures)]


def test_nothing_is_measured_on_pictures_of_a_training(world: World) -> None:
    assert {split_of(scene.seed) for scene in world.test_scenes} == {"test"}
    seen = OnTraining(SMALL, world.folder, world.report, 0)
    for measure in (answers, lambda *asked: recall(*asked, matches=False)):
        with pytest.raises(DataError, match="expected scenes of the split val or test, but 0 is in train"):
            measure(bundled(), seen, "de")
    with pytest.raises(DataError, match="but 1000001 is in few-shot training and in test"):
        Shots(OnShots(SMALL, world.folder, world.report, 0))


def test_questions_are_translated_for_training_pictures_alone(world: World) -> None:
    with pytest.raises(DataError, match="expected scenes of the split train, but 2000000 is in test"):
        of_training_pictures(world, {FIRST_SEED["test"]: m.WhatBackground()})


def test_of_its_three_adapters_each_acts_on_its_own_tokens() -> None:
    model = AlignedModel.of(bundled(), 0)
    text = model.read_text(model.tokenize(["a red star"]))
    picture = model.read_images(ImageBatch(torch.full((1, 3, 256, 256), 200, dtype=torch.uint8)))
    seen: list[tuple[Adaptation, torch.Tensor]] = []
    first = model.joint_layers.first

    def watched(x: torch.Tensor, mask: torch.Tensor, adaptation: Adaptation):
        seen.append((adaptation, x))
        return first(x, mask, adaptation)

    model.joint_layers.first = watched
    model.joint("answer", text, picture)
    (adaptation, x) = seen[0]
    assert adaptation.modality is not None
    assert adaptation.modality.tolist() == [[0] * (1 + text.mask.shape[1]) + [1] * picture.mask.shape[1]]
    assert x.shape[1] == adaptation.modality.shape[1]
    assert [config.modality for config in (model.adapters_of_tasks.config(f"answer/{part}") for part in PARTS)] == [
        "text",
        "image",
        None,
    ]


def measured(part: str, way: str, code: str, accuracy: float, seed: int = 0, **more: object) -> dict:
    controls = {"blank": 30.0, "shuffled": 31.0, "most_frequent": 32.0}
    return {
        "part": part,
        "way": way,
        "language": code,
        "accuracy": accuracy,
        "seed": seed,
        "controls": controls,
        **more,
    }


def body_at(accuracy: float, seed: int = 0) -> dict:
    return {"part": "body", "body": "english", "language": "en", "accuracy": accuracy, "seed": seed}


def test_seeds_are_told_of_the_languages_that_each_has() -> None:
    rows = [body_at(90.0), body_at(80.0, seed=1)]
    rows += [measured("zero", "a", code, 70.0, body="english") for code in TARGETS]
    rows += [measured("few", "a", code, 75.0, shots=48) for code in TARGETS]
    rows += [measured("zero", "b", code, 1.0, body="english") for code in TARGETS]
    assert seeds(rows) == ""
    for code, accuracy in (("ko", 60.0), ("de", 66.0), ("pt", 0.0)):
        rows.append(measured("zero", "a", code, accuracy, seed=1, body="english"))
    rows += [measured("few", "a", code, 70.0, seed=1, shots=48) for code in ("ko", "de")]
    _, _, *lines = seeds(rows).splitlines()
    assert lines == [
        "| a | de, ko | 0 | 90.0 | 70.0 | 20.0 | 75.0 | 15.0 |",
        "| a | de, ko | 1 | 80.0 | 63.0 | 17.0 | 70.0 | 10.0 |",
    ]
    assert "| a | 90.0 | 70.0 |" in zero_shot(rows), "the other tables are of the first seed"


def test_few_shot_is_told_of_the_languages_that_were_measured(tmp_path: Path) -> None:
    """Two languages at all numbers of pictures, the others at 48 alone; one way lacks a cell, and one any language
    without a picture."""
    rows = [body_at(90.0)]
    rows += [measured("zero", "a", code, 40.0, body="english") for code in TARGETS]
    rows += [measured("few", "a", code, 50.0 + place, shots=48) for place, code in enumerate(TARGETS)]
    rows += [measured("few", "a", code, 44.0, shots=1) for code in ("ko", "de")]
    rows += [measured("few", "a", "ko", 46.0, shots=1, seed=1)]
    rows += [measured("few", "b", "ko", 20.0, shots=1), measured("few", "b", "de", 10.0, shots=48)]
    head, _, *lines = few_shot(rows).splitlines()
    assert head == "| %, by pictures | languages | 0 | 1 | 48 | en, 0 |"
    assert lines == [
        "| a | de, ko | 40.0 | 44.0 | 52.5 | 90.0 |",
        "| a | all | 40.0 |  | 53.0 | 90.0 |",
        "| b | de, ko |  |  |  |  |",
    ]
    assert few_shot([row for row in rows if row["part"] != "few"]) == ""
    draw(rows, tmp_path / "some")
    assert (tmp_path / "some" / "xgqa.png").stat().st_size > 1000
    draw(rows[: 1 + len(TARGETS)], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_it_runs_whole_and_goes_on_where_it_was(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.xgqa", "--small", "--folder", str(tmp_path / "run")]
    command += ["--output", str(tmp_path / "out"), "--languages", "de", "--shots", "1", "--parts", "zero,few"]

    def run(ways: str) -> list[dict]:
        subprocess.run([*command, "--ways", ways], check=True, capture_output=True)
        return json.loads((tmp_path / "out" / "xgqa.json").read_text())["rows"]

    rows = run("adapters,translations beside pictures")
    assert [(row["part"], row.get("way")) for row in rows] == [
        ("body", None),
        ("zero", "adapters"),
        ("zero", "translations beside pictures"),
        ("few", "adapters"),
        ("few", "translations beside pictures"),
    ]
    again = run("adapters,multilingual,code-switched,translate-train")
    assert again[: len(rows)] == rows
    assert [(row["part"], row.get("way", row.get("body"))) for row in again[len(rows) :]] == [
        ("body", "multilingual"),
        ("zero", "multilingual"),
        ("zero", "code-switched"),
        ("zero", "translate-train"),
        ("few", "multilingual"),
        ("few", "code-switched"),
        ("few", "translate-train"),
    ]
    by_way = {row["way"]: row for row in again if row["part"] == "zero"}
    assert by_way["code-switched"]["translations"] == SMALL.translations
    assert 0 < by_way["translate-train"]["translations"] < SMALL.translations
    for row in again:
        assert set(row["controls"]) == {"blank", "shuffled", "most_frequent"}
    assert all(row["bytes"] <= 3_000_000 for row in again if "bytes" in row)
    without = {name for name, of_rows in TABLES.items() if "| multilingual |" not in of_rows(again)}
    assert without == {"xgqa_coop", "xgqa_seeds", "xgqa_ninth"}, "it does not match, had one seed, and was no ninth"
    assert (tmp_path / "out" / "xgqa.png").stat().st_size > 1000
