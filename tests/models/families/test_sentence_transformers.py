import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizer

from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models.families.sentence_transformers import load_embedder, load_scorer
from polyglance.models.pair_scorers import load_reranker
from tests.checkpoints import tiny_clip
from tests.cli.command import SOURCE
from tests.sentence_checkpoints import tiny_cross_encoder, tiny_sentence_clip

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "star"]
SHAPE = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}


def text_alone(folder: Path, kind: type[BertModel]) -> Path:
    kind(BertConfig(**SHAPE, vocab_size=len(PIECES), num_labels=1)).save_pretrained(folder / "bert")
    BertTokenizer(vocab={piece: row for row, piece in enumerate(PIECES)}).save_pretrained(folder / "bert")
    return folder / "bert"


def test_a_model_that_reads_no_pictures_is_refused(tmp_path: Path) -> None:
    reads = Transformer(str(text_alone(tmp_path / "embeds", BertModel)))
    whole = SentenceTransformer(modules=[reads, Pooling(reads.get_embedding_dimension())], device="cpu")
    whole.save_pretrained(str(tmp_path / "embeds" / "st"))
    with pytest.raises(ConfigurationError, match="reads no images"):
        load_embedder(f"st:{tmp_path / 'embeds' / 'st'}", torch.float32)
    scores = CrossEncoder(str(text_alone(tmp_path / "scores", BertForSequenceClassification)), device="cpu")
    scores.save_pretrained(str(tmp_path / "scores" / "st"))
    with pytest.raises(ConfigurationError, match=r"pairs of a text and a picture, got .* which reads text"):
        load_reranker(f"st:{tmp_path / 'scores' / 'st'}")


def test_one_kind_is_not_taken_for_the_other(tmp_path: Path) -> None:
    embeds, scores = tiny_sentence_clip(tmp_path / "embeds"), tiny_cross_encoder(tmp_path / "scores")
    with pytest.raises(ConfigurationError, match=r"expected a CrossEncoder .* which is a SentenceTransformer"):
        load_scorer(f"st:{embeds}")
    with pytest.raises(ConfigurationError, match=r"expected a SentenceTransformer .* which is a CrossEncoder"):
        load_embedder(f"st:{scores}")


def test_files_that_cannot_be_used_are_refused_in_one_line(tmp_path: Path) -> None:
    folder = tiny_sentence_clip(tmp_path)
    (folder / "1_Dense").mkdir()
    (folder / "1_Dense" / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(CheckpointError, match=r"pickle \(pytorch_model\.bin\)"):
        load_embedder(f"st:{folder}")
    (folder / "1_Dense" / "pytorch_model.bin").unlink()
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="cannot be used by sentence-transformers") as told:
        load_embedder(f"st:{folder}")
    assert "\n" not in str(told.value)
    with pytest.raises(ConfigurationError, match="neither"):
        load_embedder("st:nowhere/at/all")


def test_a_name_is_found_in_the_hubs_cache_with_modules_in_folders_of_their_own(tmp_path: Path) -> None:
    kept = tmp_path / "models--sentence-transformers--clip-tiny"
    snapshot = kept / "snapshots" / ("0" * 40)
    tiny_clip(snapshot / "0_CLIPModel")
    module = {"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}
    (snapshot / "modules.json").write_text(json.dumps([module]))
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("0" * 40)
    script = "from polyglance.models import load_model; print(load_model('st:clip-tiny').embedding_dim)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "24\n"


def test_where_the_library_is_missing_the_error_says_how_to_install_it(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "sys.modules['sentence_transformers'] = None  # as where it is not installed\n"
        "from polyglance.models import load_model\n"
        "try:\n"
        "    load_model('st:' + sys.argv[1])\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tiny_sentence_clip(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("ConfigurationError")
    assert "pip install 'polyglance[sentence-transformers]'" in done.stdout
