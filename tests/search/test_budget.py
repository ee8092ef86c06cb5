"""The budget of a search: what its parts take, how many candidates fit, and at which depth, by no real clock."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from polyglance.data.images import decode
from polyglance.errors import ConfigurationError
from polyglance.models.protocol import ImageBatch
from polyglance.query import Query
from polyglance.search.budget import CostFile, Costs, Matching, depths, measure
from polyglance.search.pipeline import SearchPipeline, text_result
from polyglance.store.memory import MemoryStateStore, MemoryVectorStore
from polyglance.store.protocols import TextFacts
from polyglance.types import Picked
from tests.fakes import TimedModel

COSTS = Costs(text=4, picture=10, retrieve=6, matching=(Matching(0, start=5, pair=0.5),))
DEEPER = replace(COSTS, matching=(*COSTS.matching, Matching(2, start=4, pair=0.5), Matching(3, start=4.5, pair=0.25)))
TEXT, PICTURE = Query.text("a dog"), Query.picture("dog.png")


def texts(count: int, recalls: tuple[float, ...] = ()) -> SearchPipeline:
    model = TimedModel(recall_by_depth=recalls)
    states = model.read_text(model.tokenize(["red"] * count))
    vectors, kept = MemoryVectorStore(model.embedding_dim), MemoryStateStore()
    vectors.put([TextFacts(str(i), str(i), "red", "en", "/") for i in range(count)], model.embed(states).numpy())
    kept.put(dict(zip(map(str, range(count)), states.store(), strict=True)))

    def read(pictures: list[object]) -> object:
        pixels = np.stack([model.preprocess(decode(picture)) for picture in pictures])
        return model.read_images(ImageBatch(torch.from_numpy(pixels)))

    return SearchPipeline(model, vectors, "text", text_result, kept, read)


@pytest.mark.parametrize(
    ("query", "modality", "budget", "picked"),
    [
        (TEXT, "image", 25, Picked(20, 0, 25)),
        (TEXT, "image", 15.4, Picked(0, 0, 10)),
        (TEXT, "image", 15.5, Picked(1, 0, 15.5)),
        (TEXT, "image", 1_000, Picked(100, 0, 65)),
        (TEXT + TEXT, "image", 34, Picked(10, 0, 34)),
        (TEXT + PICTURE, "image", 35, Picked(20, 0, 35)),
        (PICTURE, "text", 31, Picked(20, 0, 31)),
        (PICTURE, "image", 31, Picked(100, 0, 16)),
    ],
)
def test_as_many_candidates_as_fit_are_picked(query: Query, modality: str, budget: float, picked: Picked):
    assert COSTS.pick(query, modality, budget) == picked


@pytest.mark.parametrize(
    ("query", "budget", "picked"),
    [
        (TEXT, 25, Picked(42, 3, 25)),
        (TEXT, 14.4, Picked(0, 0, 10)),
        (TEXT, 14.5, Picked(1, 2, 14.5)),
        (TEXT, 1_000, Picked(100, 0, 65)),
        (TEXT, 64, Picked(100, 2, 64)),
        (TEXT, 39.5, Picked(100, 3, 39.5)),
        (TEXT + TEXT, 34, Picked(22, 3, 34)),
        (PICTURE, 31, Picked(100, 0, 16)),
    ],
)
def test_the_depth_is_the_lowest_that_lets_most_candidates_through(query: Query, budget: float, picked: Picked):
    assert DEEPER.pick(query, "image", budget) == picked


def test_a_budget_that_no_depth_meets_is_refused_with_the_least_of_all():
    with pytest.raises(ConfigurationError, match=r"at least 14\.5 ms.*rerank 1; got 14"):
        DEEPER.pick(TEXT, "image", 14, least=1)


@pytest.mark.parametrize(
    ("recalls", "allowed"),
    [((), [0]), ((90.0,), [0]), ((90.0, 90.0, 89.5, 89.4, 90.6), [0, 1, 2, 4]), ((0.0, 100.0), [0, 1])],
)
def test_only_depths_that_lose_next_to_nothing_are_allowed(recalls: tuple[float, ...], allowed: list[int]):
    assert depths(TimedModel(recall_by_depth=recalls)) == allowed


@pytest.mark.parametrize(("query", "least"), [(TEXT, "10.0"), (PICTURE, "16.0"), (TEXT + TEXT, "14.0")])
def test_a_budget_for_nothing_is_refused_with_the_least(query: Query, least: str):
    with pytest.raises(ConfigurationError, match=rf"at least {least} ms.*got 3"):
        COSTS.pick(query, "image", 3)


@pytest.mark.parametrize("count", [1, 7, 200])
def test_costs_are_measured_by_the_clock(count: int):
    """What the model of the test takes is linear, so that the line through the measures is exact."""
    pipeline = texts(count, (90, 90, 80, 90))
    costs = measure(pipeline, pipeline.model.clock)
    assert (costs.text, costs.picture) == (pytest.approx(2.5), pytest.approx(3.5))
    assert costs.retrieve == pytest.approx(0)
    assert [one.depth for one in costs.matching] == [0, 1, 3]
    assert [one.pair for one in costs.matching] == pytest.approx([0.25, 0.2, 0.1])
    assert [one.start for one in costs.matching] == pytest.approx([0, 0, 0], abs=1e-6)


def test_costs_are_kept_for_what_they_were_measured_on(tmp_path: Path):
    file, pipeline = CostFile(tmp_path / "costs.json"), texts(10)
    assert file.load(pipeline) is None
    file.save(pipeline, COSTS)
    assert file.load(pipeline) == file.load(texts(20)) == file.load(texts(5)) == COSTS
    assert [path.name for path in tmp_path.iterdir()] == ["costs.json"]
    assert file.load(texts(21)) is None
    assert file.load(texts(4)) is None
    assert file.load(replace(pipeline, modality="image")) is None
    file.save(replace(pipeline, modality="image"), replace(COSTS, text=1))
    assert file.load(pipeline) == COSTS
    pipeline.model.recall_by_depth = (90, 89.9)
    assert file.load(pipeline) is None
    file.save(pipeline, costs := measure(pipeline, pipeline.model.clock))
    assert file.load(pipeline) == costs
    pipeline.model.fingerprint = "another"
    assert file.load(pipeline) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "1", '{"a": {}}'])
def test_a_torn_file_holds_nothing(tmp_path: Path, content: str):
    file, pipeline = CostFile(tmp_path / "costs.json"), texts(1)
    file.path.write_text(content)
    assert file.load(pipeline) is None
    file.save(pipeline, COSTS)
    assert file.load(pipeline) == COSTS
    whole = file.path.read_text()
    for name in ("costs", "matching", "pair"):
        file.path.write_text(whole.replace(name, "prices"))
        assert file.load(pipeline) is None


def test_costs_of_before_there_were_depths_are_measured_again(tmp_path: Path):
    file, pipeline = CostFile(tmp_path / "costs.json"), texts(1)
    file.save(pipeline, COSTS)
    entries = json.loads(file.path.read_text())
    for entry in entries.values():
        (matching,) = entry["costs"].pop("matching")
        entry["costs"] |= {"rerank": matching["start"], "pair": matching["pair"]}
    file.path.write_text(json.dumps(entries))
    assert file.load(pipeline) is None


def test_a_folder_that_takes_no_file_is_no_error(tmp_path: Path):
    file, pipeline = CostFile(tmp_path / "gone" / "costs.json"), texts(1)
    file.save(pipeline, COSTS)
    assert file.load(pipeline) is None
