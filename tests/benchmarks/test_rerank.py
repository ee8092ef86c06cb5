"""What the two sides of the comparison compute, and every kind of case at a fraction of its size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.rerank import (
    CASES,
    CHOSEN,
    EDJE,
    PIXELS,
    SMALL,
    TEXT_TOKENS,
    VILT,
    VOCABULARY,
    Case,
    JointEncoder,
    Shape,
    World,
    measure,
)
from polyglance.nn.layer import NormPlacement
from polyglance.nn.vision import ConvStem

PEERS = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(SMALL, tmp_path_factory.mktemp("world"))


def as_torch_has_it(ours: JointEncoder, shape: Shape, norm: NormPlacement) -> nn.TransformerEncoder:
    """The same weights in torch's own encoder."""
    layer = nn.TransformerEncoderLayer(
        shape.width, shape.heads, shape.feed_forward, 0, "gelu", batch_first=True, norm_first=norm == "pre"
    )
    last = nn.LayerNorm(shape.width) if norm == "pre" else None
    theirs = nn.TransformerEncoder(layer, shape.layers, last, enable_nested_tensor=False)
    for own, other in zip(ours.layers.layers, theirs.layers, strict=True):
        other.self_attn.in_proj_weight, other.self_attn.in_proj_bias = own.attention.project_in.parameters()
        other.self_attn.out_proj.load_state_dict(own.attention.project_out.state_dict())
        other.linear1.load_state_dict(own.feed_forward[0].state_dict())
        other.linear2.load_state_dict(own.feed_forward[2].state_dict())
        other.norm1.load_state_dict(own.attention_norm.state_dict())
        other.norm2.load_state_dict(own.feed_forward_norm.state_dict())
    return theirs


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_full_cross_encoder_is_torchs_transformer_over_text_and_patches(norm: NormPlacement) -> None:
    torch.manual_seed(0)
    shape, stem = Shape(3, 24, 4, 40), ConvStem((6, 24))
    full = JointEncoder(shape, stem, 16, norm).eval()
    for weight in (parameter for parameter in full.parameters() if parameter.ndim > 1):
        nn.init.normal_(weight, std=0.5)
    text = torch.randint(0, VOCABULARY, (1, TEXT_TOKENS))
    pixels = torch.randint(0, 256, (5, 3, 4, 4), dtype=torch.uint8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    theirs = as_torch_has_it(full, shape, norm)
    with torch.no_grad():
        rows = [
            torch.cat([full.front, full.token_embedding(text[0]), stem(pixels)[i]]) + full.position for i in range(5)
        ]
        expected = full.head(theirs(torch.stack(rows))[:, 0])[:, 0]
    torch.testing.assert_close(full(text, pixels), expected, atol=1e-4, rtol=1e-4)
    assert expected.std() > 0.01


def test_the_clock_runs_over_scores_of_the_pictures_as_they_are_stored(world: World) -> None:
    ours = world.ours(CHOSEN, torch.float32)
    assert len(ours.store.ids()) == SMALL.library
    assert ours.nbytes == 16 * (768 + 2) <= 16_384
    difference, correlation = ours.agreement()
    assert 0 < difference < 0.1 * ours.scores(ours.unrounded).std()
    assert correlation > 0.999
    ours.ids.reverse()
    assert ours.agreement()[1] < 0.9


@pytest.mark.parametrize(
    ("case", "dtype"),
    [(Case(CHOSEN, PIXELS, required=12), "float32"), (Case(CHOSEN, EDJE), "bfloat16"), (CASES[-1], "bfloat16")],
    ids=lambda value: value if isinstance(value, str) else value.title,
)
def test_a_case_is_a_row(case: Case, dtype: str, world: World) -> None:
    row = measure(case, dtype, world, 2)
    low, high = row["spread"]
    assert low <= row["ratio"] <= high
    assert row["bytes"] <= row["most_bytes"]
    assert (row["required"], row["peer"], row["dtype"]) == (case.required, case.peer, dtype)
    assert row["peer_bytes"] == (64 * 24 * 2 if case.peer == EDJE else None)


def test_a_model_of_transformers_is_timed_in_its_own_process(tmp_path: Path) -> None:
    if not PEERS.exists():
        pytest.fail("expected the environment .venv-peers, which `make test` makes")
    line = [sys.executable, "-m", "benchmarks.rerank", "--small", "--repeats", "1", "--only", VILT]
    subprocess.run([*line, "--output", str(tmp_path)], check=True, capture_output=True)
    document = json.loads((tmp_path / "bench_rerank.json").read_text())
    (row,) = document["rows"]
    assert row["case"] == f"{CHOSEN.title}; against {VILT}"
    assert row["ratio"] == pytest.approx(row["peer_ms"] / row["ours_ms"], rel=0.2)
