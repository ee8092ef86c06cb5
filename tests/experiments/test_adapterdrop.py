"""The body and the tasks of the experiment, at a thousandth of their size."""

from pathlib import Path

import pytest
import torch

from experiments.adapterdrop.graph_targets import WORDS, relation_targets, word_targets
from experiments.adapterdrop.pictures import Pictures, read_pictures
from experiments.adapterdrop.pretraining import pretrained_body
from experiments.adapterdrop.settings import SMALL
from experiments.adapterdrop.tasks import TASKS, TOKENS, Examples, TaskData, task_data
from experiments.pretraining.grounding import FRAGMENTS, PARTS
from experiments.pretraining.picture_stage import CELLS
from experiments.results import open_folder
from polyglance.errors import ConfigurationError, DataError
from polyglance.scenes import meaning as m
from polyglance.scenes.sampling import FIRST_SEED, Scene, Thing, sample_scene
from polyglance.training.loop import read_log

DOG = Thing("dog", "small", None, "red", 30, 30)
STAR = Thing("star", "large", "red", None, 220, 30)
SCENE = Scene(0, "sea", (DOG, STAR))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapterdrop")
    open_folder(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def pictures(folder: Path) -> Pictures:
    return read_pictures(SMALL, folder)


def test_pictures_are_read_once_and_test_scenes_are_none_of_the_training_range(
    folder: Path, pictures: Pictures
) -> None:
    assert [pictures.scenes[row].seed for row in pictures.test] == list(
        range(FIRST_SEED["test"], FIRST_SEED["test"] + SMALL.test_scenes)
    )
    assert pictures.states.shape == (SMALL.scenes + SMALL.test_scenes, CELLS, 128)
    calls: list[str] = []
    assert torch.equal(read_pictures(SMALL, folder, lambda stage, *_: calls.append(stage)).states, pictures.states)
    assert calls == []


@pytest.mark.parametrize(
    ("trained", "words"), [(1, "split test, but 1 is in train"), (3, "split train, but 2000000 is in")]
)
def test_scenes_of_the_other_range_are_refused(trained: int, words: str) -> None:
    scenes = tuple(map(sample_scene, (0, 1, FIRST_SEED["test"])))
    Pictures(scenes, torch.zeros(3, CELLS, 8), 2)
    with pytest.raises(DataError, match=words):
        Pictures(scenes, torch.zeros(3, CELLS, 8), trained)


def test_a_task_with_a_picture_in_both_parts_is_refused() -> None:
    def examples(*pictures: int) -> Examples:
        ids = torch.zeros(len(pictures), 1, dtype=torch.long)
        return Examples(ids, ids == 0, torch.tensor(pictures), ids[:, 0])

    TaskData(TASKS["match"], examples(0, 1, 1), examples(2, 3))
    with pytest.raises(DataError, match="expected each picture in one split, but 1 is in train and in test"):
        TaskData(TASKS["match"], examples(0, 1, 1), examples(2, 1))


def test_the_body_is_trained_once_and_comes_back_frozen(folder: Path, pictures: Pictures) -> None:
    body = pretrained_body(SMALL, pictures, folder)
    rows = list(read_log(folder / "words.jsonl"))
    assert len(list(read_log(folder / "places.jsonl"))) == len(rows) == 2
    assert {"match", "rank", "fragments", "relations", "cells", "caption_words", "question_words"} <= rows[0].keys()
    assert not any(parameter.requires_grad for parameter in body.parameters())
    again = pretrained_body(SMALL, pictures, folder)
    texts = body.tokenize(["a red star", "is there a dog in the picture?"])
    states = body(texts, pictures.states[:2])
    assert states.shape == (2, 1 + texts.ids.shape[1] + CELLS, SMALL.width)
    assert torch.equal(again(texts, pictures.states[:2]), states)


def test_a_folder_refuses_other_settings(folder: Path) -> None:
    from dataclasses import replace

    open_folder(folder, SMALL)
    with pytest.raises(ConfigurationError, match="another width: name another folder"):
        open_folder(folder, replace(SMALL, width=64))


def test_every_task_has_its_examples(folder: Path, pictures: Pictures) -> None:
    tokenizer = pretrained_body(SMALL, pictures, folder).tokenizer
    data = task_data(SMALL, pictures, tokenizer, folder)
    assert list(data) == ["verify", "query", "choose", "logical", "compare", "count", "match", "plate"]
    for name, found in data.items():
        assert (len(found.train), len(found.test)) == (SMALL.examples, SMALL.test_examples)
        assert found.train.ids.shape == found.train.mask.shape
        assert found.train.ids.shape[1] <= TOKENS
        assert set(found.train.pictures.tolist()) <= set(pictures.train)
        assert set(found.test.pictures.tolist()) <= set(pictures.test)
        assert found.train.labels.max() < len(TASKS[name].labels)
        assert found.train.labels.bincount().max() <= TASKS[name].largest_share * SMALL.examples
    again = task_data(SMALL, pictures, tokenizer, folder)
    assert all(torch.equal(data[name].test.ids, again[name].test.ids) for name in data)
    assert 0 <= data["query"].commonest <= 100


def test_each_word_of_a_phrase_is_told_apart() -> None:
    caption = (m.Shows(m.Phrase("dog", "large", None, "red")), m.ShowsBackground("sea"))
    (targets,) = word_targets([SCENE], [caption])
    dog, star = targets[0], targets[3]
    assert dog[: len(WORDS)].tolist() == [1, 0, -1, 1]
    assert star[: len(WORDS)].tolist() == [0, 1, -1, 0]
    assert targets[:, 3 * len(WORDS)].tolist() == [1] * CELLS
    assert (targets >= 0).sum() == 4 * CELLS
    assert targets.shape == (CELLS, PARTS * len(WORDS))


def test_a_relation_is_told_of_whatever_stands_in_it() -> None:
    caption = (m.ShowsRelated(m.Phrase("cat"), "left", m.Phrase("star")), m.Shows(m.Phrase("dog")))
    (targets,) = relation_targets([SCENE], [caption])
    assert targets.shape == (CELLS, FRAGMENTS)
    assert targets[:, 0].tolist() == [1, -1, -1, 0] + [-1] * 12
    assert (targets[:, 1:] == -1).all()
