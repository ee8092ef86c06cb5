"""Bodies of the experiment that begin as published encoders, with tiny random ones in the hub's format."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch

from experiments.pretraining import grounding
from experiments.pretraining.joint_stages import WordLosses
from experiments.pretraining.picture_stage import CELLS
from experiments.results import open_folder
from experiments.weights.folders import WEIGHTS
from experiments.xgqa.aligned import TRAINED, AlignedModel, aligned_model
from experiments.xgqa.bodies import World, bundled, english_source
from experiments.xgqa.few_shot import Shots, few_shot
from experiments.xgqa.published import E5, MINILM, OnBundledPictures, published_body, published_english_body
from experiments.xgqa.settings import SMALL
from experiments.xgqa.ways import PAPER, Bodies
from polyglance.models.families.text_encoder import load_text_encoder
from polyglance.models.protocol import ImageBatch
from polyglance.training.loop import read_log
from tests.single_stream_checkpoints import LAYERS, bert, xlm_roberta

WRITERS: dict[str, Callable[[Path], object]] = {MINILM: bert, E5: xlm_roberta}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cache")
    for name, write in WRITERS.items():
        folder = root / "polyglance" / "weights" / name
        write(folder)
        (folder / "source.json").write_text(json.dumps(WEIGHTS[name].source))
    return root


@pytest.fixture
def world(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    open_folder(tmp_path, SMALL)
    return World(SMALL, tmp_path, lambda *told: None, 0, "dev")


@pytest.mark.parametrize("name", [MINILM, E5])
def test_a_body_reads_texts_as_its_encoder_does(world: World, cache: Path, name: str) -> None:
    body = published_body(world, name)
    encoder = load_text_encoder(cache / "polyglance" / "weights" / name, torch.float32)
    batch = body.tokenize(["a red star", "is this a star?"])
    cut = LAYERS // 2
    assert len(body.text_layers.layers) == cut
    with torch.no_grad():
        states = encoder.encoder(encoder.embed(batch.ids, batch.mask), batch.mask, layers=range(cut))
        read = body.read_text(batch)
        x, _ = body.join("answer", read)
    real = batch.mask[..., None]
    torch.testing.assert_close(read.hidden * real, states * real)
    torch.testing.assert_close(x[:, 1:] * real, states * real)
    for ours, theirs in zip(body.joint_layers.layers, encoder.encoder.layers[cut:], strict=True):
        for one, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            assert torch.equal(one, other)


def test_each_text_has_the_encoders_prefix(world: World) -> None:
    body = published_body(world, E5)
    plain = OnBundledPictures.of(body)
    assert torch.equal(body.tokenize(["a star"]).ids, plain.tokenize(["query: a star"]).ids)
    assert not torch.equal(body.tokenize(["a star"]).ids, plain.tokenize(["a star"]).ids)


def test_the_bundled_model_reads_the_pictures(world: World) -> None:
    pixels = ImageBatch(torch.randint(0, 256, (2, 3, 256, 256), dtype=torch.uint8))
    body = published_body(world, MINILM)
    assert torch.equal(body.read_images(pixels).hidden, bundled().read_images(pixels).hidden)
    about, _ = body.joint("answer", body.read_text(body.tokenize(["a", "star"])), body.read_images(pixels))
    assert about.shape == (2, body.config.width)


def test_cells_are_predicted_from_the_tokens_of_the_picture(world: World) -> None:
    """The bundled model gives fewer states than the body has room for."""
    body = published_body(world, MINILM)
    losses = WordLosses(body, english_source(world, body.tokenize), world.states, world.gallery_states)
    text = body.read_text(body.tokenize(["a star on a plate", "this"]))
    _, halfway = body.joint("match", text, world.states[:2])
    halfway = halfway.detach().requires_grad_()
    losses.grounding.cell_loss(halfway, torch.zeros(2, CELLS, grounding.PARTS)).backward()
    assert halfway.grad is not None
    places = halfway.grad.abs().sum(dim=(0, 2)).nonzero().flatten().tolist()
    first = 1 + text.mask.shape[1]
    assert places == [*range(first, first + CELLS)]


def test_subwords_of_a_published_encoder_keep_their_embeddings(world: World) -> None:
    before, after = published_body(world, MINILM), published_english_body(world, MINILM).float()
    halved = before.token_embedding.weight.bfloat16().float()
    assert torch.equal(after.token_embedding.weight, halved)
    assert not torch.equal(after.text_position.weight, before.text_position.weight.bfloat16().float())


def test_only_adapters_and_what_pictures_and_tasks_need_is_trained(world: World) -> None:
    before = AlignedModel.with_adapters(published_body(world, E5), world.seed).state_dict()
    before = deepcopy(before)
    model = aligned_model(world, published_body(world, E5), None, world.folder / "aligned", steps=2)
    assert model.prefix == "query: "
    assert {"embed", "answer", "cells_question"} <= next(read_log(world.folder / "aligned" / "tasks.jsonl")).keys()
    after = model.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert {name.split(".")[0] for name in changed} == {*TRAINED, "kept_position"} - {"whole_head"}
    again = aligned_model(world, published_body(world, E5), None, world.folder / "aligned", steps=2).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in after.items()), "it goes on from its checkpoint"


def test_it_runs_whole_on_published_encoders(tmp_path: Path, cache: Path) -> None:
    command = [sys.executable, "-m", "experiments.xgqa", "--small", "--folder", str(tmp_path), "--languages", "de"]
    ways = ["adapters on MiniLM", "multilingual first", "multilingual first and translations"]
    command += ["--parts", "zero,few", "--shots", "1", "--ways", ",".join(ways)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "XDG_CACHE_HOME": str(cache)})
    rows = json.loads((tmp_path / "xgqa.json").read_text())["rows"]
    assert [(row["part"], row.get("way", row.get("body"))) for row in rows] == [
        ("body", MINILM),
        ("zero", ways[0]),
        ("body", E5),
        ("zero", ways[1]),
        ("zero", ways[2]),
        ("few", ways[0]),
        ("few", ways[1]),
        ("few", ways[2]),
    ]
    by_way = {row.get("way"): row for row in rows if row["part"] == "zero"}
    assert "coop_R@1" in by_way[ways[0]]
    assert "coop_R@1" not in by_way[ways[1]]
    assert "bytes" not in by_way[ways[1]], "nothing was learned"
    assert by_way[ways[2]]["translations"] == SMALL.translations
    assert "perplexity" in by_way[ways[0]]
    assert "perplexity" not in by_way[ways[2]], "no masked token was predicted"


def test_the_task_is_trained_on_a_few_pictures_where_no_language_is_learned(world: World) -> None:
    bodies = Bodies(world)
    (way,) = (way for way in PAPER if not way.learns)
    before = deepcopy(bodies.e5.state_dict())
    model = few_shot(bodies, way, "de", 1, Shots(world), 0)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(("answer_head", "adapters_of_tasks")) and "embed" not in name for name in changed)
    assert {name.split(".")[0] for name in changed} == {"answer_head", "adapters_of_tasks"}
    assert all(torch.equal(value, before[name]) for name, value in bodies.e5.state_dict().items())
