from pathlib import Path

import pytest

from polyglance.adapters.checkpoint import save_adapter
from polyglance.adapters.composition import Drop, Parallel
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.drop_depths import DepthCost, DepthTable, measure_depths
from polyglance.adapters.modules import Adapter
from polyglance.errors import CheckpointError, ConfigurationError

TABLE = DepthTable((DepthCost(0, 9.0, 80.0), DepthCost(1, 7.0, 82.0), DepthCost(2, 5.0, 82.0), DepthCost(3, 4.0, 60.0)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_adapter(Adapter(AdapterConfig(), 32, 4), tmp_path, "vqa")
    return tmp_path


@pytest.mark.parametrize(("budget", "depth"), [(100, 2), (9.0, 2), (5.0, 2), (4.99, 3), (4.0, 3)])
def test_the_best_that_fits_the_budget_is_taken(budget: float, depth: int) -> None:
    assert TABLE.depth(budget) == depth
    assert TABLE.drop(Parallel("a", "b"), budget) == Drop(Parallel("a", "b"), depth)


def test_a_budget_that_nothing_fits_is_refused_with_the_fastest() -> None:
    with pytest.raises(ConfigurationError, match=r"at least 4\.00 ms, which the fastest depth, 3, takes; got 3 ms"):
        TABLE.depth(3)


def test_every_depth_is_run_in_turns_and_judged_once() -> None:
    ran: list[int] = []
    judged: list[int] = []

    def quality(depth: int) -> float:
        judged.append(depth)
        return 50.0 - depth

    table = measure_depths(3, ran.append, quality, rounds=2)
    assert ran == [0, 1, 2] * 3
    assert judged == [0, 1, 2]
    assert [(one.depth, one.quality) for one in table.measured] == [(0, 50.0), (1, 49.0), (2, 48.0)]
    assert all(0 <= one.milliseconds < 60_000 for one in table.measured)


def test_it_is_kept_beside_the_adapter(folder: Path) -> None:
    TABLE.save(folder)
    assert DepthTable.load(folder) == TABLE


def test_it_belongs_to_its_weights(folder: Path) -> None:
    TABLE.save(folder)
    save_adapter(Adapter(AdapterConfig(), 32, 4), folder, "vqa")
    with pytest.raises(CheckpointError, match="with other weights than those beside it"):
        DepthTable.load(folder)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"weights": "x", "depths": []}', '{"weights": "x"}', '{"weights": "x", "depths": [{"depth": 1}]}'],
)
def test_a_torn_file_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(CheckpointError, match=r"holds no depths\.json"):
        DepthTable.load(folder)
    (folder / "depths.json").write_text(text)
    with pytest.raises(CheckpointError, match="does not say what depths cost"):
        DepthTable.load(folder)
