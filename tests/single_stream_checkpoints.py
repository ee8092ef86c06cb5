"""Tiny random single-stream checkpoints as the hub keeps them, written by transformers' own classes."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    BertTokenizer,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaTokenizer,
    ViltConfig,
    ViltForImageAndTextRetrieval,
    ViltForQuestionAnswering,
    ViltImageProcessorPil,
    ViltModel,
    VisualBertConfig,
    VisualBertForPreTraining,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaTokenizer,
)

LAYERS, WIDTH = 3, 32
REGION_WIDTH = 20
"""Of all but OSCAR's."""
TEXTS = ["a red star", "is this a star?", "stars on a plate on a plate on a plate"]
ANSWERS = ("yes", "no", "red", "two stars")

_SIZES: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 22,
}
_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *["a", "red", "star", "##s", "is", "this", "on", "plate", "?"]]
_PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "▁a",
    "▁red",
    "▁star",
    "s",
    "▁is",
    "▁this",
    "▁on",
    "▁plate",
    "?",
    "▁",
    "<mask>",
]


def drawn(model: PreTrainedModel | nn.Module, seed: int = 0) -> Any:
    """With all parameters random, those that start as 0 or 1 as well."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data.normal_(std=0.2, generator=generator)
    return model.eval()


def bert(folder: Path, body: bool = False) -> PreTrainedModel:
    config = BertConfig(**_SIZES, vocab_size=len(_WORDS))
    return _saved(drawn(BertModel(config) if body else BertForMaskedLM(config)), folder, _bert_tokenizer())


def telling_bert(folder: Path) -> PreTrainedModel:
    """A body that tells words apart, which `bert` hardly does: large embeddings, and all else as BERT begins."""
    torch.manual_seed(0)
    made = BertModel(BertConfig(**_SIZES, vocab_size=len(_WORDS)))
    made.embeddings.word_embeddings.weight.data.normal_()
    return _saved(made.eval(), folder, _bert_tokenizer())


def roberta(folder: Path) -> PreTrainedModel:
    letters = sorted({letter for text in TEXTS for letter in text.replace(" ", "Ġ")})
    vocabulary = {piece: row for row, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", *letters, "re", "<mask>"])}
    tokenizer = RobertaTokenizer(vocab=vocabulary, merges=[("r", "e")])
    config = RobertaConfig(**_SIZES | {"max_position_embeddings": 24}, vocab_size=len(vocabulary), type_vocab_size=1)
    return _saved(drawn(RobertaForMaskedLM(config)), folder, tokenizer)


def xlm_roberta(folder: Path) -> PreTrainedModel:
    config = XLMRobertaConfig(**_SIZES, vocab_size=len(_PIECES), type_vocab_size=1, layer_norm_eps=1e-5)
    tokenizer = XLMRobertaTokenizer(vocab=[(piece, -float(row)) for row, piece in enumerate(_PIECES)])
    return _saved(drawn(XLMRobertaForMaskedLM(config)), folder, tokenizer)


def visual_bert(folder: Path) -> PreTrainedModel:
    config = VisualBertConfig(**_SIZES, vocab_size=len(_WORDS), visual_embedding_dim=REGION_WIDTH)
    return _saved(drawn(VisualBertForPreTraining(config)), folder, _bert_tokenizer())


def vilt(folder: Path, head: str = "body", **settings: Any) -> PreTrainedModel:
    """head: body, retrieval or answers. settings: of the image processor."""
    named = {"id2label": dict(enumerate(ANSWERS)), "label2id": {answer: row for row, answer in enumerate(ANSWERS)}}
    config = ViltConfig(
        **_SIZES, vocab_size=len(_WORDS), image_size=24, patch_size=4, **(named if head == "answers" else {})
    )
    made = {"body": ViltModel, "retrieval": ViltForImageAndTextRetrieval, "answers": ViltForQuestionAnswering}[head]
    vilt_processor(**settings).save_pretrained(folder)
    return _saved(drawn(made(config)), folder, _bert_tokenizer())


def vilt_processor(**settings: Any) -> ViltImageProcessorPil:
    return ViltImageProcessorPil(**{"size": {"shortest_edge": 24}, "size_divisor": 4} | settings)


class Oscar(nn.Module):
    """BERT over texts and regions as OSCAR's code puts them together, with VinVL's norm if asked for."""

    def __init__(self, normed: bool) -> None:
        super().__init__()
        self.bert = BertModel(BertConfig(**_SIZES, vocab_size=len(_WORDS)))
        self.bert.img_embedding = nn.Linear(2054, WIDTH)
        if normed:
            self.bert.LayerNorm = nn.LayerNorm(WIDTH, 1e-5)

    def states(
        self, ids: torch.Tensor, mask: torch.Tensor, features: torch.Tensor, region_mask: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Before each layer, and in the end."""
        regions = self.bert.img_embedding(features)
        if hasattr(self.bert, "LayerNorm"):
            regions = self.bert.LayerNorm(regions)
        x = torch.cat([self.bert.embeddings(ids), regions], dim=1)
        bias = (1.0 - torch.cat([mask, region_mask], dim=1).float())[:, None, None] * -10000.0
        found = [x]
        for layer in self.bert.encoder.layer:
            found.append(layer(found[-1], bias))
        return tuple(found)


def oscar(folder: Path, normed: bool = False) -> Oscar:
    """Its config.json names no model_type, as the published ones do not."""
    import json

    made = drawn(Oscar(normed))
    _bert_tokenizer().save_pretrained(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(_WORDS) + "\n", encoding="utf-8")
    settings = {
        **_SIZES,
        "vocab_size": len(_WORDS),
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
    }
    settings |= {"img_feature_dim": 2054, "img_feature_type": "faster_r-cnn"}
    if normed:
        settings |= {"use_img_layernorm": 1, "img_layer_norm_eps": 1e-5}
    (folder / "config.json").write_text(json.dumps(settings))
    weights = {name.replace("LayerNorm.weight", "LayerNorm.gamma"): value for name, value in made.state_dict().items()}
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors")
    return made


def _bert_tokenizer() -> BertTokenizer:
    return BertTokenizer(vocab={word: row for row, word in enumerate(_WORDS)})


def _saved(model: PreTrainedModel, folder: Path, tokenizer: Any) -> PreTrainedModel:
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return model
