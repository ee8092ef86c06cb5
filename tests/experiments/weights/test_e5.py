import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from experiments.weights.e5 import write_e5
from polyglance.errors import CheckpointError
from polyglance.models.families.text_encoder import load_text_encoder
from tests.experiments.weights.packed_file import LAYERS, ROWS, SUBWORDS, WIDTH, File


def tokenizer(subwords: Sequence[str] = SUBWORDS) -> bytes:
    return json.dumps({"model": {"type": "Unigram", "vocab": [[piece, 0.0] for piece in subwords]}}).encode()


def test_a_folder_is_what_the_hub_has(tmp_path: Path) -> None:
    data, meant = File().written()
    write_e5(data, tokenizer(), tmp_path)
    model = load_text_encoder(tmp_path, torch.float32)
    config = model.config
    assert (config.family, config.vocabulary, config.layers, config.eps) == ("bert", ROWS, LAYERS, 1e-12)
    torch.testing.assert_close(model.token_embedding.weight.detach(), torch.from_numpy(meant["emb.word"]))
    assert (tmp_path / "tokenizer.json").read_bytes() == tokenizer()
    modules = json.loads((tmp_path / "modules.json").read_text())
    assert [(tmp_path / module["path"]).is_dir() for module in modules] == [True] * 3
    pooling = json.loads((tmp_path / "1_Pooling" / "config.json").read_text())
    assert pooling == {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True}


@pytest.mark.parametrize(
    ("tokenizing", "reason"),
    [
        (tokenizer([*SUBWORDS[:-1], "e"]), "expected a tokenizer with the 6 subwords of the weights, got one"),
        (tokenizer(SUBWORDS[:-1]), "expected a tokenizer with the 6 subwords"),
        (b"{}", "a unigram model: 'model'"),
        (b"[1", "a unigram model: "),
        (b'{"model": {"vocab": {"a": 0}}}', "a unigram model: "),
    ],
)
def test_a_tokenizer_of_another_model_is_refused(tokenizing: bytes, reason: str, tmp_path: Path) -> None:
    data, _ = File().written()
    with pytest.raises(CheckpointError, match=reason):
        write_e5(data, tokenizing, tmp_path)
    assert not list(tmp_path.iterdir())
