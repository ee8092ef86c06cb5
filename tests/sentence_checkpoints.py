"""Tiny random models as sentence-transformers writes them: an embedding model, and a cross-encoder for texts and
pictures."""

from pathlib import Path

import torch
from torch import nn

from tests.checkpoints import tiny_clip

_TEMPLATE = (
    "{% for message in messages %}{{ message.role }} {% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %} {% endfor %}"
)


def tiny_sentence_clip(folder: Path) -> Path:
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(str(tiny_clip(folder / "clip")), device="cpu").save_pretrained(str(folder / "st"))
    return folder / "st"


def tiny_cross_encoder(folder: Path) -> Path:
    """Llava with the logit of "yes" over that of "no" behind it."""
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder.modules import LogitScore, Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessorPil,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    words = ["<pad>", "<unk>", "<image>", "yes", "no", "query", "document", "a", "red", "star", "white", "plate"]
    fast = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=fast,
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=64,
        additional_special_tokens=["<image>"],
    )
    size = {"height": 32, "width": 32}
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=size),
        tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_TEMPLATE,
    )
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlavaConfig(
        vision_config={"model_type": "clip_vision_model", "image_size": 32, "patch_size": 16, **shape},
        text_config={"model_type": "llama", "vocab_size": len(words), "max_position_embeddings": 64, **shape},
        image_token_index=words.index("<image>"),
        image_seq_length=4,
    )
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder / "llava")
    processor.save_pretrained(folder / "llava")
    reads = Transformer(str(folder / "llava"), transformer_task="any-to-any")
    scores = LogitScore(true_token_id=words.index("yes"), false_token_id=words.index("no"))
    CrossEncoder(modules=[reads, scores], device="cpu").save_pretrained(str(folder / "st"))
    return folder / "st"
