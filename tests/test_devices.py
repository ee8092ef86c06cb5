"""A model on another device than the CPU: all that is computed with it is computed there. No GPU takes part."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from polyglance.data.questions import Question
from polyglance.evaluation.controls import answer_questions
from polyglance.evaluation.pools import Pool
from polyglance.evaluation.systems import Evaluation, System
from polyglance.library import Library
from polyglance.models import load_model
from polyglance.models.pair_scorers import MatcherScorer
from polyglance.query import Query
from tests import fake_device
from tests.fakes import COLOURS
from tests.journeys.tiny import save_tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colour in COLOURS.items():
        Image.new("RGB", (32, 32), colour).save(tmp_path / f"{name}.png")
    (tmp_path / "texts.txt").write_text("a red star\nein roter Stern", encoding="utf-8")
    return tmp_path


@pytest.fixture
def there(folder: Path) -> Iterator[fake_device.ModelThere]:
    model = fake_device.moved(load_model(save_tiny_model(folder / "model"), dtype=torch.float32))
    fake_device.enter()
    yield model
    fake_device.leave()


def test_the_device_itself_refuses_what_was_left_behind() -> None:
    fake_device.enter()
    try:
        there = torch.zeros(2, device=fake_device.DEVICE)
        assert there.device == fake_device.DEVICE
        assert torch.ones(2).to(there).device == fake_device.DEVICE
        assert there.cpu().device.type == "cpu"
        with pytest.raises(RuntimeError, match="same device"):
            there + torch.zeros(2)
        with pytest.raises(TypeError, match="no array"):
            there.numpy()
    finally:
        fake_device.leave()


def test_vectors_scores_and_answers(there: fake_device.ModelThere, folder: Path) -> None:
    images = [folder / f"{name}.png" for name in COLOURS]
    here = load_model(folder / "model", dtype=torch.float32)
    for one, other in (
        (there.encode_texts(["a red star"]), here.encode_texts(["a red star"])),
        (there.encode_images(images), here.encode_images(images)),
        (there.score("a red star", images), here.score("a red star", images)),
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert there.device == fake_device.DEVICE
    assert there.answer("is it red?", images, top=1) != []


def test_a_library(there: fake_device.ModelThere, folder: Path) -> None:
    library = Library.create(folder / "library", model=there)
    assert library.add([folder / f"{name}.png" for name in COLOURS]).failed == []
    assert library.add_texts(folder / "texts.txt").added == 2
    red = folder / "red.png"
    query = Query.text("a red star") + Query.picture(red) - 0.5 * Query.text("a star")
    for asked in ("a red star", query, Query.picture(red), Query.picture(red.read_bytes())):
        assert len(library.search(asked).results) == len(COLOURS)
        assert len(library.search_texts(asked).results) == 2
    assert library.search("a red star", budget_ms=10_000).picked
    assert library.ask("is it red?", image=red).answers
    Image.new("RGB", (32, 32), "black").save(folder / "new.png")
    assert library.ask("is it red?", image=folder / "new.png").answers
    library.reranker = MatcherScorer(there)
    assert len(library.search(query).results) == len(COLOURS)


def test_evaluation(there: fake_device.ModelThere, folder: Path) -> None:
    paths = [folder / f"{name}.png" for name in COLOURS]
    questions = [Question(path, "is it red?", "yes", id=str(number)) for number, path in enumerate(paths)]
    answered = answer_questions(there, questions)
    assert len(answered.own) == len(answered.blank) == len(paths)
    pool = Pool("en", tuple(COLOURS), tuple(paths), tuple((row,) for row in range(len(paths))))
    for system in (System(there, None, 2), System(None, there, 2), System(there, there, 2, 0.5)):
        evaluation = Evaluation(system, [pool])
        assert len(evaluation.scores()) == 2
        assert evaluation.milliseconds(pool)
