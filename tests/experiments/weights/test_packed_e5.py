"""What comes back from a tiny file of packed weights, and what torn and hostile ones come to."""

import numpy as np
import pytest

from experiments.weights.packed_e5 import read_packed
from polyglance.errors import CheckpointError
from tests.experiments.weights.packed_file import (
    HEADS,
    INNER,
    LAYERS,
    POSITIONS,
    ROWS,
    SUBWORDS,
    TYPES,
    WIDTH,
    File,
)
from tests.memory import allocating_at_most


def test_what_was_packed_comes_back() -> None:
    data, meant = File().written()
    encoder = read_packed(data)
    assert encoder.subwords == SUBWORDS
    assert encoder.eps == 1e-12
    assert encoder.sizes == {
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "vocab_size": ROWS,
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": TYPES,
    }
    assert len(encoder.weights) == len(meant)
    for hub, name in {
        "embeddings.word_embeddings.weight": "emb.word",
        "embeddings.position_embeddings.weight": "emb.pos",
        "embeddings.token_type_embeddings.weight": "emb.type",
        "embeddings.LayerNorm.bias": "emb.ln.b",
        "encoder.layer.0.attention.self.query.weight": "l0.q.w",
        "encoder.layer.0.attention.self.key.bias": "l0.k.b",
        "encoder.layer.1.attention.self.value.weight": "l1.v.w",
        "encoder.layer.1.attention.output.dense.weight": "l1.ao.w",
        "encoder.layer.1.attention.output.LayerNorm.weight": "l1.aln.w",
        "encoder.layer.0.intermediate.dense.weight": "l0.fi.w",
        "encoder.layer.0.intermediate.dense.bias": "l0.fi.b",
        "encoder.layer.1.output.dense.weight": "l1.fo.w",
        "encoder.layer.1.output.LayerNorm.bias": "l1.oln.b",
    }.items():
        np.testing.assert_array_equal(encoder.weights[hub], meant[name], err_msg=hub)
        assert encoder.weights[hub].dtype == np.float32


def test_a_file_that_is_cut_short_anywhere_is_refused() -> None:
    data, _ = File().written()
    for length in [*range(0, 400, 7), *range(400, len(data), 997), len(data) - 1]:
        with pytest.raises(CheckpointError, match=r"torn|another one"):
            read_packed(data[:length])


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (File(magic=b"GGUF"), "got another one"),
        (File(version=2), "got another one"),
        (File(block=64), "in blocks of 32"),
        (File(sizes=[WIDTH, LAYERS, HEADS, INNER, 0, POSITIONS, TYPES]), "positive sizes"),
        (File(sizes=[WIDTH, 2**27 - 1, HEADS, INNER, ROWS, POSITIONS, TYPES]), "expected 2147483637 tensors"),
        (File(sizes=[2**31 - 1, LAYERS, HEADS, 2**31 - 1, 2**31 - 1, POSITIONS, TYPES]), "emb.word is"),
        (File(sizes=[WIDTH, LAYERS, HEADS, 2 * INNER, ROWS, POSITIONS, TYPES]), "l0.fi.w is"),
        (File(count=2**31 - 1), "torn: expected 8,589,934,592 bytes"),
        (File(count=-1), "torn"),
        (File(count=-2), "torn"),
        (File(text_size=2**64 - 1), "torn: expected 18,446,744,073,709,551,615 bytes"),
        (File(offsets=[0, 3, 2, 12, 17, 23, 25]), "the places of their subwords"),
        (File(offsets=[0, 3, 8, 12, 17, 23, 2**32 - 1]), "the places of their subwords"),
        (File(text=b"\xff" * 25), "not UTF-8"),
        (File(map_size=2**32 - 1), "torn"),
        (File(tensors=2**31 - 1), "expected 37 tensors"),
        (File(tensors=-1), "expected 37 tensors"),
        (File(entries={"emb.word": [1, ROWS * WIDTH, 2**63, ROWS * 18]}), "torn: expected 108 bytes at"),
        (File(entries={"emb.word": [1, ROWS * WIDTH, 0, 2**63]}), "contradict themselves: emb.word"),
        (File(entries={"emb.word": [1, 2**32 - 1, 0, 108]}), "contradict themselves: emb.word"),
        (File(entries={"emb.word": [7, ROWS * WIDTH, 0, 108]}), "of the kind 7"),
        (File(entries={"emb.word": [0, ROWS * WIDTH, 0, 108]}), "contradict themselves: emb.word"),
    ],
)
def test_what_a_file_claims_falsely_is_refused_before_memory_is_taken_for_it(file: File, reason: str) -> None:
    data, _ = file.written()
    with allocating_at_most(1_000_000), pytest.raises(CheckpointError, match=reason):
        read_packed(data)


def test_the_tensors_of_another_model_are_refused() -> None:
    data, _ = File().written()
    with pytest.raises(CheckpointError, match=r"others: l0\.fi\.b, l0\.zz\.b"):
        read_packed(data.replace(b"l0.fi.b", b"l0.zz.b"))
