"""Files that the examples of docs/adapters.md load: a body and three adapters."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from polyglance.adapters import Adapter, AdapterConfig, save_adapter

WIDTH, INNER, LAYERS, WORDS = 16, 32, 6, 1000


def write_adapters(folder: Path) -> None:
    write_bert(folder / "bert")
    for name in ("verify", "count", "match"):
        save_adapter(Adapter(AdapterConfig(), WIDTH, LAYERS), folder / "adapters" / name, name)


def write_bert(folder: Path) -> None:
    """A tiny random BERT as the hub keeps one."""
    shapes = {
        "embeddings.word_embeddings.weight": (WORDS, WIDTH),
        "embeddings.position_embeddings.weight": (40, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,),
        "embeddings.LayerNorm.bias": (WIDTH,),
    }
    for layer in range(LAYERS):
        place = f"encoder.layer.{layer}"
        linears = {f"attention.self.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")}
        linears |= {
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (INNER, WIDTH),
            "output.dense": (WIDTH, INNER),
        }
        for name, shape in linears.items():
            shapes |= {f"{place}.{name}.weight": shape, f"{place}.{name}.bias": shape[:1]}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{place}.{name}.weight": (WIDTH,), f"{place}.{name}.bias": (WIDTH,)}
    folder.mkdir()
    save_file({name: 0.1 * torch.randn(shape) for name, shape in shapes.items()}, folder / "model.safetensors")
    config = {
        "model_type": "bert",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "vocab_size": WORDS,
        "max_position_embeddings": 40,
        "type_vocab_size": 2,
        "pad_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config))
