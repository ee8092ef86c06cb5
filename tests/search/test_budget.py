"""The dial of a search: what its parts take, and how many candidates fit. No test looks at a real clock."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from polyglance.data.images import decode
from polyglance.errors import ConfigurationError
from polyglance.models.protocol import ImageBatch
from polyglance.query import Query
from polyglance.search.budget import CostFile, Costs, measure
from polyglance.search.pipeline import SearchPipeline, text_result
from polyglance.store.memory import MemoryStateStore, MemoryVectorStore
from polyglance.store.protocols import TextFacts
from polyglance.types import Picked
from tests.fakes import TimedModel

COSTS = Costs(text=4, picture=10, retrieve=6, rerank=5, pair=0.5)
TEXT, PICTURE = Query.text("a dog"), Query.picture("dog.png")


def texts(count: int) -> SearchPipeline:
    model = TimedModel()
    states = model.read_text(model.tokenize(["red"] * count))
    vectors, kept = MemoryVectorStore(model.embedding_dim), MemoryStateStore()
    vectors.put([TextFacts(str(i), str(i), "red", "en", "/") for i in range(count)], model.embed(states).numpy())
    kept.put(dict(zip(map(str, range(count)), states.store(), strict=True)))

    def read(picture: object) -> object:
        return model.read_images(ImageBatch(torch.from_numpy(model.preprocess(decode(picture))[None])))

    return SearchPipeline(model, vectors, "text", text_result, kept, read)


@pytest.mark.parametrize(
    ("query", "modality", "budget", "picked"),
    [
        (TEXT, "image", 25, Picked(20, 25)),
        (TEXT, "image", 15.4, Picked(0, 10)),
        (TEXT, "image", 15.5, Picked(1, 15.5)),
        (TEXT, "image", 1_000, Picked(100, 65)),
        (TEXT + TEXT, "image", 34, Picked(10, 34)),
        (TEXT + PICTURE, "image", 35, Picked(20, 35)),
        (PICTURE, "text", 31, Picked(20, 31)),
        (PICTURE, "image", 31, Picked(100, 16)),
    ],
)
def test_as_many_candidates_as_fit_are_picked(query: Query, modality: str, budget: float, picked: Picked):
    assert COSTS.pick(query, modality, budget) == picked


@pytest.mark.parametrize(("query", "least"), [(TEXT, "10.0"), (PICTURE, "16.0"), (TEXT + TEXT, "14.0")])
def test_a_budget_for_nothing_is_refused_with_the_least(query: Query, least: str):
    with pytest.raises(ConfigurationError, match=rf"at least {least} ms.*got 3"):
        COSTS.pick(query, "image", 3)


@pytest.mark.parametrize("count", [1, 7, 200])
def test_costs_are_measured_by_the_clock(count: int):
    """What the model of the test takes is linear, so that the line through the measures is exact."""
    pipeline = texts(count)
    costs = measure(pipeline, pipeline.model.clock)
    assert (costs.text, costs.picture) == (pytest.approx(2), pytest.approx(3))
    assert costs.retrieve == pytest.approx(0.5)
    assert costs.pair == pytest.approx(0.25)
    assert costs.rerank == pytest.approx(0, abs=1e-6)


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
    pipeline.model.fingerprint = "another"
    assert file.load(pipeline) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "1", '{"a": {}}'])
def test_a_torn_file_holds_nothing(tmp_path: Path, content: str):
    file, pipeline = CostFile(tmp_path / "costs.json"), texts(1)
    file.path.write_text(content)
    assert file.load(pipeline) is None
    file.save(pipeline, COSTS)
    assert file.load(pipeline) == COSTS
    file.path.write_text(file.path.read_text().replace("costs", "prices"))
    assert file.load(pipeline) is None


def test_a_folder_that_takes_no_file_is_no_error(tmp_path: Path):
    file, pipeline = CostFile(tmp_path / "gone" / "costs.json"), texts(1)
    file.save(pipeline, COSTS)
    assert file.load(pipeline) is None
