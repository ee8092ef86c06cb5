"""A tiny text encoder as the hub keeps it, and tiny files of the eight text tasks."""

import json
import random
from collections.abc import Mapping
from pathlib import Path

import torch

from experiments.adapterdrop.text_tasks import NAMES

WORDS = ("good", "bad", "film", "dog", "runs", "why", "who", "the", "a", "not")
PAIRS = ("mrpc", "rte", "sick_nli", "sts")
CLASSES = {"sick_nli": 3, "trec": 6}
SIZES = {"train": 40, "val": 20, "test": 20}


def tiny_text_encoder(folder: Path, layers: int = 3) -> Path:
    from transformers import BertConfig, BertModel, BertTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=40,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    BertTokenizer(vocab={piece: row for row, piece in enumerate(pieces)}).save_pretrained(folder)
    return folder


def write_task_files(folder: Path, sizes: Mapping[str, int] = SIZES) -> Path:
    """The first word tells the label. No two examples have the same texts."""
    rng = random.Random(0)
    folder.mkdir()
    for name in NAMES:
        seen: set[str] = set()
        lines = []
        for split, size in sizes.items():
            for _ in range(size):
                while (text := " ".join(rng.choices(WORDS, k=7))) in seen:
                    pass
                seen.add(text)
                first = WORDS.index(text.split()[0])
                label = float(first) if name == "sts" else f"label {first % CLASSES.get(name, 2)}"
                pair = {"pair": " ".join(rng.choices(WORDS, k=4))} if name in PAIRS else {}
                lines.append(json.dumps({"text": text, **pair, "label": label, "split": split}))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder
