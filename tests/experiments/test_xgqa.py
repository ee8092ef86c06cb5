"""The experiment at a thousandth of its size, and what makes its figures mean what they say."""

import json
import random
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pytest
import torch

from experiments.results import open_folder
from experiments.xgqa.__main__ import ways_of
from experiments.xgqa.aligned import PARTS, AlignedModel
from experiments.xgqa.asked import EACH, of_training_pictures
from experiments.xgqa.bodies import World, bundled
from experiments.xgqa.corpora import NINTH, SOURCE_LANGUAGE, TARGETS, measured_scenes, require_unmeasured, say
from experiments.xgqa.dictionary import dictionary, switched
from experiments.xgqa.few_shot import Shots
from experiments.xgqa.measures import answers, recall
from experiments.xgqa.plots import draw
from experiments.xgqa.settings import SMALL
from experiments.xgqa.tables import TABLES, controls, costs, few_shot, seeds, zero_seeds, zero_shot
from experiments.xgqa.ways import CHOSEN, PAPER, TRANSLATED, WAYS, beside_english, translations
from polyglance.adapters.routing import Adaptation
from polyglance.data.corpora import Translation
from polyglance.errors import ConfigurationError, DataError
from polyglance.models.protocol import ImageBatch
from polyglance.scenes import meaning as m
from polyglance.scenes.grammar import grammar
from polyglance.scenes.make import scene_captions, scene_questions
from polyglance.scenes.questions import answer
from polyglance.scenes.sampling import FIRST_SEED, Scene, sample_scene, split_of
from polyglance.scenes.truth import SceneIndex

LANGUAGES = (SOURCE_LANGUAGE, *TARGETS, NINTH)
BY_NAME = {way.name: way for way in WAYS}
CAPTIONS, QUESTIONS = BY_NAME["translations"], BY_NAME["shared parts with questions"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("xgqa")
    open_folder(folder, SMALL)
    return World(SMALL, folder, lambda *told: None, 0, "dev")


@pytest.fixture(scope="module")
def larger(world: World) -> World:
    """So many pictures and sentences that some coincide by chance."""
    return World(replace(SMALL, pictures=60, sentences=300, translations=60), world.folder, world.report, 0, "test")


def plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if unicodedata.category(letter)[0] not in "ZP")


def test_development_and_test_pictures_are_of_different_splits_and_fresh() -> None:
    ranges = [{scene.seed for scene in measured_scenes(split, 1000)} for split in ("dev", "test")]
    assert [{split_of(seed) for seed in seeds} for seeds in ranges] == [{"val"}, {"test"}]
    assert min(ranges[0]) >= FIRST_SEED["val"] + 1000, "few-shot training has the first pictures of val"
    assert min(ranges[1]) >= FIRST_SEED["test"] + 1000, "the first test pictures took part in choices"


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_model_is_measured_with_a_sentence_that_its_language_is_learned_from(larger: World, code: str) -> None:
    asked: set[str] = set()
    for split in ("dev", "test"):
        scenes = measured_scenes(split, larger.settings.pictures)
        asked |= {plain(grammar(code).say(question)) for scene in scenes for question, _ in scene_questions(scene)}
        index = SceneIndex(scenes)
        captions = (scene_captions(index, row, unique=True) for row in range(len(scenes)))
        asked |= {plain(grammar(code).caption(one)) for said in captions for one in said}
    assert len(asked) > 400
    for way in (CAPTIONS, QUESTIONS):
        sentences = larger.sentences(code, way.questions)
        pairs = translations(larger, code, way)
        assert len(sentences) == len(set(sentences)) > larger.settings.sentences
        assert len(pairs) == larger.settings.translations
        learned = {plain(text) for text in [*sentences, *(one.sentence for one in pairs)]}
        assert not learned & asked


@pytest.mark.parametrize("code", [*TARGETS, NINTH])
def test_a_language_is_learned_without_questions_unless_its_way_says_so(larger: World, code: str) -> None:
    marks = re.compile(r"[?？]\s*$")

    def share(texts: Sequence[str]) -> float:
        return sum(bool(marks.search(text)) for text in texts) / len(texts)

    captions, questions = larger.sentences(code), larger.sentences(code, questions=True)
    assert share(captions[: SMALL.sentences]) == 0
    assert share(questions) > 0.3
    assert share([one.sentence for one in translations(larger, code, CAPTIONS)]) == 0
    assert share([one.sentence for one in translations(larger, code, QUESTIONS)]) > 0.3


def test_questions_are_only_in_ways_that_are_named_so(world: World) -> None:
    assert {way.name for way in WAYS if way.questions} == {way.name for way in WAYS if way.name.endswith("questions")}
    for way in WAYS:
        known = {one.known for one in beside_english(world, way, "de")}
        assert any(text.endswith("?") for text in known) == (way.translated and way.questions)


def test_a_sentence_that_models_are_measured_with_is_refused_in_any_spelling() -> None:
    (question, _), *_ = scene_questions(measured_scenes("test", 1)[0])
    require_unmeasured(["Ein Satz."], "de", 1)
    with pytest.raises(DataError, match="is measured with the sentence"):
        require_unmeasured(["Ein Satz.", f" {say('de', question).upper()[:-1]}"], "de", 1)


def test_on_test_pictures_only_the_papers_ways_and_the_chosen_ones_are_measured() -> None:
    assert ways_of("dev", "") == [*WAYS]
    assert {way.name for way in ways_of("test", "")} == {*(way.name for way in PAPER), *CHOSEN}
    assert [way.name for way in ways_of("test", "adapters")] == ["adapters"]
    (other, *_) = [way.name for way in WAYS if way not in PAPER and way.name not in CHOSEN]
    with pytest.raises(ConfigurationError, match=f"on test pictures, not {other}"):
        ways_of("test", f"adapters,{other}")


def test_no_model_is_measured_with_a_sentence_that_code_switching_makes(larger: World) -> None:
    many = World(replace(larger.settings, sentences=1000), larger.folder, larger.report, 0, "test")
    mixed = beside_english(many, BY_NAME["code-switched"], "de")[-many.settings.sentences :]
    assert sum(one.sentence != one.known for one in mixed) > 100
    require_unmeasured([one.sentence for one in mixed], "de", many.settings.pictures)


def test_sentences_are_drawn_once(world: World) -> None:
    assert world.sentences("de") is world.sentences("de")
    assert world.sentences("de") != world.sentences("de", questions=True)


def test_sentences_of_two_languages_are_of_different_scenes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(world.settings, world.folder, world.report, 1, "dev")  # which has drawn nothing yet
    said_of: dict[str, set[int]] = {}
    for code in LANGUAGES:
        seeds = said_of.setdefault(code, set())
        monkeypatch.setattr(
            "experiments.xgqa.bodies.sample_scene", lambda seed, seeds=seeds: seeds.add(seed) or sample_scene(seed)
        )
        sentences = world.sentences(code)
        assert len(sentences) == len(set(sentences)) == SMALL.sentences + SMALL.real
    everyone = [seed for seeds in said_of.values() for seed in seeds]
    assert len(everyone) == len(set(everyone))
    assert min(everyone) >= TRANSLATED + SMALL.translations
    assert max(everyone) < 1_000_000


def test_translations_say_one_thing_and_are_at_most_so_many(world: World) -> None:
    german, french = translations(world, "de", CAPTIONS), translations(world, NINTH, CAPTIONS)
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
    assert beside_english(world, BY_NAME["adapters"], "de") == []
    assert beside_english(world, BY_NAME["translate-train with questions"], "de") == []
    known = translations(world, "de", CAPTIONS)
    assert beside_english(world, BY_NAME["translations beside pictures"], "de") == known
    mixed = Counter(beside_english(world, BY_NAME["code-switched"], "de"))
    times = SMALL.sentences // len(known)
    assert all(mixed.pop(one) == times * known.count(one) for one in set(known))
    assert mixed.total() == SMALL.sentences
    assert any(one.sentence != one.known for one in mixed)


def test_translated_questions_are_asked_of_pictures_that_answer_them(world: World) -> None:
    few = World(replace(SMALL, scenes=30), world.folder, world.report, 0, "dev")
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
    def measured_scenes(self) -> list[Scene]:
        return self.scenes[: SMALL.pictures]


class OnShots(World):
    @cached_property
    def measured_scenes(self) -> list[Scene]:
        return [sample_scene(FIRST_SEED["val"] + 1 + number) for number in range(SMALL.pictures)]


def test_nothing_is_measured_on_pictures_of_a_training(world: World) -> None:
    assert {split_of(scene.seed) for scene in world.measured_scenes} == {"val"}
    asked = sum(len(scene_questions(scene)) for scene in world.measured_scenes)
    assert answers(bundled(), world, "de")["questions"] == asked
    assert recall(bundled(), world, "de", matches=False)["queries"] in range(1, SMALL.pictures + 1)
    assert Shots(world).first(1).rows
    seen = OnTraining(SMALL, world.folder, world.report, 0, "test")
    for measure in (answers, lambda *asked: recall(*asked, matches=False)):
        with pytest.raises(DataError, match="expected scenes of the split val or test, but 0 is in train"):
            measure(bundled(), seen, "de")
    with pytest.raises(DataError, match="but 1000001 is in few-shot training and in test"):
        Shots(OnShots(SMALL, world.folder, world.report, 0, "test"))


def test_questions_are_translated_for_training_pictures_alone(world: World) -> None:
    with pytest.raises(DataError, match="expected scenes of the split train, but 2000000 is in test"):
        of_training_pictures(world, {FIRST_SEED["test"]: m.WhatBackground()})


def test_of_its_three_adapters_each_acts_on_its_own_tokens() -> None:
    model = AlignedModel.with_adapters(bundled(), 0)
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
    controls = {} if part == "few" else {"controls": {"blank": 30.0, "shuffled": 31.0, "most_frequent": 32.0}}
    return {
        "part": part,
        "way": way,
        "language": code,
        "accuracy": accuracy,
        "seed": seed,
        **controls,
        **more,
    }


def body_at(accuracy: float, seed: int = 0) -> dict:
    controls = {"blank": 40.0, "shuffled": 41.0, "most_frequent": 42.0}
    named = {"part": "body", "body": "english", "language": "en", "seed": seed}
    return {**named, "accuracy": accuracy, "controls": controls}


def test_seeds_are_told_of_the_languages_that_each_has() -> None:
    rows = [body_at(90.0), body_at(80.0, seed=1)]
    rows += [measured("zero", "a", code, 70.0, body="english") for code in TARGETS]
    rows += [measured("few", "a", code, 75.0, shots=48) for code in TARGETS]
    rows += [measured("zero", "b", code, 1.0, body="english") for code in TARGETS]
    assert seeds(rows) == zero_seeds(rows) == ""
    for code, accuracy in (("ko", 60.0), ("de", 66.0), ("pt", 0.0)):
        rows.append(measured("zero", "a", code, accuracy, seed=1, body="english"))
    rows += [measured("few", "a", code, 70.0, seed=1, shots=48) for code in ("ko", "de")]
    _, _, *lines = seeds(rows).splitlines()
    assert lines == [
        "| a | de, ko | 0 | 90.0 | 70.0 | 20.0 | 75.0 | 15.0 |",
        "| a | de, ko | 1 | 80.0 | 63.0 | 17.0 | 70.0 | 10.0 |",
    ]
    head, _, *lines = zero_seeds(rows).splitlines()
    assert head == "| % | languages | seed | en | zero-shot | drop |"
    assert lines == ["| a | de, pt, ko | 0 | 90.0 | 70.0 | 20.0 |", "| a | de, pt, ko | 1 | 80.0 | 42.0 | 38.0 |"]
    assert seeds([row for row in rows if row["part"] != "few"]) == ""
    assert "| a | 90.0 | 70.0 |" in zero_shot(rows), "the other tables are of the first seed"


def test_controls_stand_beside_what_is_measured_in_english_too() -> None:
    rows = [body_at(90.0), measured("zero", "a", "de", 40.0, body="english")]
    _, _, *lines = controls(rows).splitlines()
    assert lines == ["| english body in English | 90.0 | 40.0 | 41.0 | 42.0 |", "| a | 40.0 | 30.0 | 31.0 | 32.0 |"]


def test_a_language_has_a_perplexity_if_masked_tokens_were_predicted() -> None:
    learned = {"body": "english", "bytes": 1_500_000}
    rows = [measured("zero", "a", code, 1.0, perplexity=[20.0, 4.0], **learned) for code in ("de", "ko")]
    rows.append(measured("zero", "b", "de", 1.0, **learned))
    _, _, *lines = costs(rows).splitlines()
    assert lines == ["| a | 1.5 | 20 | 4.0 |", "| b | 1.5 |  |  |"]


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
    command += ["--output", str(tmp_path / "out"), "--languages", "de", "--shots", "1"]

    def run(ways: str, split: str, parts: str) -> list[dict]:
        more = ["--ways", ways, "--split", split, "--parts", parts]
        subprocess.run([*command, *more], check=True, capture_output=True)
        return json.loads((tmp_path / "out" / "xgqa.json").read_text())["rows"]

    rows = run("adapters,code-switched,translate-train with questions", "dev", "zero")
    assert [(row["part"], row.get("way", row.get("body"))) for row in rows] == [
        ("body", "english"),
        ("zero", "adapters"),
        ("zero", "code-switched"),
        ("zero", "translate-train with questions"),
    ]
    assert {name for name, of_rows in TABLES.items() if of_rows(rows)} == {"xgqa_choice", "xgqa_choice_controls"}
    assert not (tmp_path / "out" / "xgqa.png").exists(), "the figure is of the test pictures"
    again = run("adapters,multilingual", "test", "zero,few")
    assert again[: len(rows)] == rows
    assert [(row["part"], row.get("way"), row.get("body"), row["split"]) for row in again[len(rows) :]] == [
        ("body", None, "english", "test"),
        ("zero", "adapters", "english", "test"),
        ("body", None, "multilingual", "test"),
        ("zero", "multilingual", "multilingual", "test"),
        ("few", "adapters", None, "test"),
        ("few", "multilingual", None, "test"),
    ]
    languages = tmp_path / "run" / "languages"
    log, copied = (languages / f"{way}-de-0" / "training" / "tokens.jsonl" for way in ("adapters", "code-switched"))
    assert log.read_text() == copied.read_text(), "one first stage serves both, with its times"
    by_way = {row["way"]: row for row in rows[1:]}
    assert by_way["code-switched"]["translations"] == SMALL.translations
    assert 0 < by_way["translate-train with questions"]["translations"] < SMALL.translations
    for row in again:
        assert {*row.get("controls", ())} == (set() if row["part"] == "few" else {"blank", "shuffled", "most_frequent"})
    assert all(row["bytes"] <= 3_000_000 for row in again if "bytes" in row)
    without = {name for name, of_rows in TABLES.items() if "| multilingual |" not in of_rows(again)}
    unmeasured = {"xgqa_choice", "xgqa_choice_controls", "xgqa_coop", "xgqa_zero_seeds", "xgqa_seeds", "xgqa_ninth"}
    assert without == unmeasured, "it was measured on test pictures alone"
    assert (tmp_path / "out" / "xgqa.png").stat().st_size > 1000
