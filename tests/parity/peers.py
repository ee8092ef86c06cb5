"""Run by the peers' Python: `peers.py FOLDER` writes tiny random models of `transformers`, and what they compute."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    PretrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

SIZES = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 24,
}
LENGTHS = (11, 4, 7)


def batch(padding: int, token_types: int) -> dict[str, torch.Tensor]:
    mask = torch.arange(max(LENGTHS))[None] < torch.tensor(LENGTHS)[:, None]
    ids = torch.randint(5, SIZES["vocab_size"], mask.shape)
    types = torch.randint(token_types, mask.shape)
    return {"ids": torch.where(mask, ids, padding), "mask": mask, "token_types": types}


def body(model: type[PreTrainedModel], config: type[PretrainedConfig], **settings: object) -> PreTrainedModel:
    """With every parameter drawn, those that start as 0 or 1 as well."""
    made = model(config(**SIZES, **settings)).eval()
    for parameter in made.parameters():
        parameter.data.normal_(std=0.2)
    return made


def write(model: PreTrainedModel, folder: Path) -> None:
    """The model, and in `case.safetensors` a batch with its last states and, where there is a head, its logits."""
    model.save_pretrained(folder)
    case = batch(model.config.pad_token_id, model.config.type_vocab_size)
    out = model(
        input_ids=case["ids"],
        attention_mask=case["mask"].long(),
        token_type_ids=case["token_types"],
        output_hidden_states=True,
    )
    case["states"] = out.hidden_states[-1]
    if "logits" in out:
        case["logits"] = out.logits
    save_file({name: value.detach().contiguous() for name, value in case.items()}, folder / "case.safetensors")


def main(folder: Path) -> None:
    torch.manual_seed(0)
    write(body(BertModel, BertConfig), folder / "bert-body")
    write(body(BertForMaskedLM, BertConfig), folder / "bert")
    roberta = {"type_vocab_size": 1, "layer_norm_eps": 1e-5}
    write(body(RobertaForMaskedLM, RobertaConfig, **roberta), folder / "roberta")
    write(body(XLMRobertaForMaskedLM, XLMRobertaConfig, **roberta), folder / "xlm-roberta")


if __name__ == "__main__":
    with torch.no_grad():
        main(Path(sys.argv[1]))
