"""The experiment at a thousandth of its size; what is stored, and what it takes for a right answer."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.results import open_folder
from experiments.retrieval.settings import SMALL
from experiments.retrieval.states import bytes_a_picture, rounded
from experiments.retrieval.tables import TABLES
from experiments.retrieval.training import beginning, bundled
from experiments.retrieval.world import World, make_world
from polyglance.data.gallery import gallery_folder
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
    command = [sys.executable, "-m", "experiments.retrieval", "--small", "--seeds", "0,0", "--parts", "systems,times"]
    command += ["--folder", str(tmp_path / "run"), "--output", str(tmp_path / "out")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    rows = json.loads((tmp_path / "out" / "retrieval.json").read_text())["rows"]
    twin = [row["pool"] for row in rows if row.get("system") == "twin"]
    assert twin == list(SMALL.pools)
    assert {row.get("system") for row in rows} >= {"joint twin", "cross", "separate coop", "joint coop"}
    assert (tmp_path / "out" / "retrieval-systems.png").exists()
    assert all(TABLES[f"retrieval_{name}"](rows) for name in ("systems", "candidates", "times", "libraries"))
