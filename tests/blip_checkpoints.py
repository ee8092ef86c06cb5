"""Tiny random checkpoints of BLIP and BLIP-2 as they lie on the hub, written by transformers itself."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

ANSWERS = ("yes", "no", "red", "a red star", "white", "star plate")
TEXTS = ("a red star", "a white plate", "", "two red stars on a white plate, and no other star")
_PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz,.?", "##s"]
_PIECES += ["red", "star", "white", "plate", "two", "on", "and", "no", "yes", "other", "what", "is"]
_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 24,
}
_VISION = {
    "hidden_size": 40,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}


def tiny_blip(folder: Path, seed: int = 0) -> Path:
    from transformers import BlipForImageTextRetrieval

    return _blip(folder, BlipForImageTextRetrieval, seed, width=40)


def tiny_blip_vqa(folder: Path, answers: Sequence[str] = (), seed: int = 0) -> Path:
    from transformers import BlipForQuestionAnswering

    _blip(folder, BlipForQuestionAnswering, seed, width=32)  # its decoder takes texts and pictures of one width
    if answers:
        (folder / "answers.json").write_text(json.dumps(answers))
    return folder


def tiny_blip2(folder: Path, seed: int = 0) -> Path:
    from transformers import Blip2Config, Blip2ForImageTextRetrieval

    config = Blip2Config(
        vision_config=_VISION,
        qformer_config=_TEXT
        | {"vocab_size": len(_PIECES), "encoder_hidden_size": _VISION["hidden_size"], "use_qformer_text_input": True},
        text_config={"model_type": "opt", "hidden_size": 16, "vocab_size": 20, "num_hidden_layers": 1, "ffn_dim": 16},
        num_query_tokens=4,
        image_text_hidden_size=16,
    )
    torch.manual_seed(seed)
    return _written(folder, Blip2ForImageTextRetrieval(config))


def _blip(folder: Path, kind: Any, seed: int, width: int) -> Path:
    """width: of the vision tower."""
    from transformers import BlipConfig

    ids = {"bos_token_id": 4, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    config = BlipConfig(
        text_config=_TEXT | ids | {"vocab_size": len(_PIECES)},
        vision_config=_VISION | {"hidden_size": width},
        image_text_hidden_size=16,
    )
    torch.manual_seed(seed)
    return _written(folder, kind(config))


def _written(folder: Path, model: Any) -> Path:
    """Weights are drawn wider than transformers draws them: what comes out then differs from input to input."""
    from transformers import BertTokenizer, BlipImageProcessorPil

    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.2)
        elif name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder)
    BertTokenizer(vocab={piece: i for i, piece in enumerate(_PIECES)}).save_pretrained(folder)
    BlipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder
