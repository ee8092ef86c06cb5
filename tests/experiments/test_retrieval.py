"""The experiment at a thousandth of its size; what is stored, and what it takes for a right answer."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.results import Results, open_folder
from experiments.retrieval.__main__ import KEYS, refuse_another_body, run_systems
from experiments.retrieval.settings import SMALL
from experiments.retrieval.states import bytes_a_picture, rounded
from experiments.retrieval.systems import Reading, all_pairs
from experiments.retrieval.tables import TABLES
from experiments.retrieval.training import beginning, bundled, retrieval_settings
from experiments.retrieval.world import World, make_world, require_apart, require_new_queries, split_rows
from polyglance.data.captions import Caption
from polyglance.data.gallery import gallery_folder
from polyglance.errors import ConfigurationError, DataError
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.nn.states import TokenStates
from polyglance.scenes.grammar import grammar
from polyglance.scenes.make import scene_captions
from polyglance.scenes.render import render
from polyglance.scenes.sampling import FIRST_SEED, sample_scene
from polyglance.scenes.truth import SceneIndex


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("retrieval")
    open_folder(folder, SMALL)
    return make_world(SMALL, folder)


def test_no_scene_is_in_both_splits(world: World) -> None:
    train, test = ([sample_scene(FIRST_SEED[split] + i) for i in range(3)] for split in ("train", "test"))
    require_apart(train, test)
    with pytest.raises(DataError, match="expected each scene in one split"):
        require_apart(train, [*test, replace(train[1], seed=test[0].seed)])
    with pytest.raises(DataError, match="expected scenes of the split train"):
        require_apart([*train, test[0]], test[1:])


def test_texts_that_are_also_training_captions_are_counted(world: World) -> None:
    first, second = world.texts[0], world.texts[-1]
    known = tuple(Caption(Path("0.png"), text) for text in (first, second, "Nothing of this kind."))
    mixed = replace(world, captions=known)
    with pytest.raises(DataError, match="is in the training captions and in the queries"):
        require_new_queries(mixed)
    small, large = split_rows(mixed)
    queries = {"part": "splits", "queries": len(world.asked), "queries_in_training": 1}
    assert small == {**queries, "pool": SMALL.pools[0], "texts": SMALL.pools[0], "texts_in_training": 1}
    assert large == {**queries, "pool": SMALL.pools[1], "texts": len(world.texts), "texts_in_training": 2}


def test_only_the_negatives_differ_between_joint_and_joint_random() -> None:
    joint, at_random = (retrieval_settings(SMALL, training, 3) for training in ("joint", "joint-random"))
    assert joint.sharpness > 0
    assert at_random == replace(joint, sharpness=0.0)
    assert retrieval_settings(SMALL, "cross", 3) == replace(joint, mode="cross")


def test_all_pairs_rank_the_items_that_a_twin_encoder_ranks(world: World) -> None:
    reading, size = Reading.of(beginning(0), world, lambda *_: None), SMALL.pools[-1]
    everybody = len(world.asked)
    scores = all_pairs(reading, size, everybody)
    assert len(world.texts) > everybody
    for direction, count in (("text_to_image", size), ("image_to_text", len(world.texts))):
        queries = reading.queries(direction, torch.arange(everybody))
        direct = reading.match(direction, queries, torch.arange(count).expand(everybody, -1))
        torch.testing.assert_close(scores[direction], direct, rtol=1e-3, atol=1e-3)
    assert all_pairs(reading, SMALL.pools[0], everybody)["image_to_text"].shape[1] == SMALL.pools[0]
    assert list(all_pairs(reading, size, 3)) == ["text_to_image"]


def test_only_systems_without_rows_are_measured(world: World, tmp_path: Path) -> None:
    results = Results("retrieval", tmp_path, KEYS)
    others = ["joint twin", "joint twin, random negatives", "joint coop", "joint coop, random negatives"]
    results.put({"part": "systems", "system": system, "seed": 5, "pool": 0} for system in others)
    run_systems(world, 5, results)
    measured = {row["system"] for row in results.rows if row["pool"]}
    assert measured == {"twin", "cross", "separate coop"}
    assert {path.name for path in (world.folder / "models").glob("*-5")} == {"twin-5", "cross-5"}
    before = list(results.rows)
    run_systems(world, 5, results)
    assert results.rows == before


def test_rows_that_began_from_another_model_are_refused(tmp_path: Path) -> None:
    results = Results("retrieval", tmp_path, KEYS)
    results.put([{"part": "splits", "pool": 10}, {"part": "times", "pool": 10, "body": "this"}])
    refuse_another_body(results, "this")
    results.put([{"part": "systems", "system": "twin"}])
    with pytest.raises(ConfigurationError, match="present edition of the bundled model"):
        refuse_another_body(results, "this")


def test_pairs_never_seen_are_shown_in_the_smallest_and_the_largest_pool() -> None:
    def row(system: str, pool: int, seen: float, unseen: float, queries: int) -> dict[str, object]:
        parts = {"seen_pairs": {"queries": 40, "R@1": seen}, "unseen_pairs": {"queries": queries, "R@1": unseen}}
        return {"part": "systems", "system": system, "seed": 0, "pool": pool, **parts}

    rows = [row("twin", pool, 80 - pool, 70 - pool, 9) for pool in (10, 20, 30)] + [row("cross", 30, 90, 60, 2)]
    assert TABLES["retrieval_unseen"](rows).splitlines() == [
        "| text to image R@1, % | 10: seen pairs | 10: an unseen pair | 30: seen pairs | 30: an unseen pair |",
        "| --- | --- | --- | --- | --- |",
        "| twin | 70.0 | 60.0 | 50.0 | 40.0 |",
        "| cross |  |  | 90.0 | 60.0, 2 queries |",
    ]


def test_queries_stand_first_and_are_true_of_their_picture_alone(world: World) -> None:
    index = SceneIndex([sample_scene(FIRST_SEED["test"] + i) for i in range(SMALL.pools[-1])])
    said = {grammar("en").caption(caption): row for row in world.asked for caption in scene_captions(index, row, True)}
    assert [said[text] for text in world.texts[: len(world.asked)]] == list(world.asked)
    assert len(world.asked) == len(world.unseen) <= SMALL.queries
    assert len(world.asked) < len(world.texts) <= SMALL.pools[-1]
    assert len(world.captions) == 2 * SMALL.scenes


@pytest.mark.parametrize("split", ["train", "test"])
def test_pictures_of_the_splits_are_those_of_their_seeds(world: World, split: str) -> None:
    drawn = render(sample_scene(FIRST_SEED[split] + 1), gallery_folder())
    assert np.array_equal(world.pixels(split)[1].permute(1, 2, 0).numpy(), np.asarray(drawn))


def test_a_beginning_keeps_the_body_and_forgets_the_heads() -> None:
    begun, whole = beginning(3), bundled().float()
    torch.testing.assert_close(begun.joint_layers.state_dict(), whole.joint_layers.state_dict())
    assert not torch.equal(begun.match_head.weight, whole.match_head.weight)
    assert begun.task_adapters is None
    assert begun.config.cosine_weight == 0, "the new match is not to be helped by a new twin"
    assert torch.equal(beginning(3).match_head.weight, begun.match_head.weight)
    assert not torch.equal(beginning(4).match_head.weight, begun.match_head.weight)


def test_another_way_of_storing_begins_anew_and_keeps_the_layers() -> None:
    begun, whole = beginning(0, kept_grid=2, compression="mean", state_width=32), bundled().float()
    torch.testing.assert_close(begun.image_layers.state_dict(), whole.image_layers.state_dict())
    assert begun.compress(torch.randn(2, 65, 192)).hidden.shape == (2, 5, 32)


def test_another_way_of_storing_begins_near_the_old_one() -> None:
    tokens = torch.randn(2, 8, 8, 192)
    smooth = tokens[:, ::2, ::2].repeat_interleave(2, dim=1).repeat_interleave(2, dim=2).flatten(1, 2)
    pixels = torch.randint(256, (2, 3, 256, 256), dtype=torch.uint8)

    def expanded(model: SingleStreamModel) -> tuple[Tensor, Tensor]:
        whole = F.pad(model.eyes(pixels)[1], (0, 192 - model.config.state_width))
        states = model.compress(torch.cat([smooth, whole[:, None]], dim=1)).hidden
        return (model.expand_image(states) + model.kept_position).split([16, 1], dim=1)

    cells, whole = expanded(bundled().float())
    for shape in ({"compression": "mean"}, {"state_width": 128, "compression": "merge"}):
        begun, of_whole = expanded(beginning(0, **shape))
        torch.testing.assert_close(begun, cells, rtol=1e-3, atol=1e-3)
        assert torch.cosine_similarity(of_whole, whole, dim=-1).min() > 0.9
    narrow, of_whole = expanded(beginning(0, state_width=64))
    assert torch.cosine_similarity(narrow.flatten(), cells.flatten(), dim=0) > 0.8
    assert torch.cosine_similarity(of_whole, whole, dim=-1).min() > 0.5


def test_eight_bits_are_rounded_as_a_library_rounds_them() -> None:
    hidden = torch.randn(3, 4, 8)
    there = torch.ones(3, 4, dtype=torch.bool)
    stored = TokenStates(hidden, there, "image").store()
    torch.testing.assert_close(rounded(hidden, 8), TokenStates.load(stored, "image", "cpu").hidden)
    assert stored[0].nbytes == bytes_a_picture(4, 8, 8)
    assert len(rounded(hidden, 4)[0, 0].unique()) <= 15
    assert bytes_a_picture(16, 128, 4) == 16 * 64 + 32


def test_the_command_writes_rows_once_with_tables_and_plots(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.retrieval", "--small", "--seeds", "0,0"]
    command += ["--parts", "splits,systems,times"]
    command += ["--folder", str(tmp_path / "run"), "--output", str(tmp_path / "out")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    rows = json.loads((tmp_path / "out" / "retrieval.json").read_text())["rows"]
    twin = [row["pool"] for row in rows if row.get("system") == "twin"]
    assert twin == list(SMALL.pools)
    random = {"joint twin, random negatives", "joint coop, random negatives"}
    assert {row.get("system") for row in rows} >= {"joint twin", "cross", "separate coop", "joint coop", *random}
    assert {row.get("body") for row in rows if row["part"] != "splits"} == {bundled().fingerprint}
    assert (tmp_path / "out" / "retrieval-systems.png").exists()
    assert all(TABLES[f"retrieval_{name}"](rows) for name in ("splits", "systems", "candidates", "times", "libraries"))
