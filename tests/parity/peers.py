"""Run by the peers' Python: `peers.py FOLDER` writes tiny random models and adapters, and what they compute.

NAME/                 a model as the hub keeps it, and case.safetensors: a batch, its last states, its logits
NAME/theirs/ADAPTER   adapters and fusions that the adapters library made
NAME/theirs.safetensors, NAME/converted.safetensors
                      last states and logits with those, and with the ones of FOLDER/converted
efficientnet-liteN/   weights.safetensors, and case.safetensors: pixels, their features, their logits
"""

import sys
from pathlib import Path

import adapters
import torch
from adapters import (
    BertAdapterModel,
    BnConfig,
    DoubleSeqBnConfig,
    ParBnConfig,
    RobertaAdapterModel,
    SeqBnConfig,
    SeqBnInvConfig,
)
from adapters.composition import BatchSplit, Fuse, Parallel, Stack
from efficientnet_lite_pytorch import EfficientNet
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

ADAPTERS: dict[str, BnConfig] = {
    "seq": SeqBnConfig(reduction_factor=4),
    "seq-two": SeqBnConfig(reduction_factor=4),
    "seq-gelu": SeqBnConfig(reduction_factor=2.5, non_linearity="gelu", leave_out=[0]),
    "seq-gelu-new": SeqBnConfig(reduction_factor={"default": 4}, non_linearity="gelu_new", leave_out=[1, 0]),
    "seq-inv": SeqBnInvConfig(reduction_factor=2),
    "twice": DoubleSeqBnConfig(reduction_factor=4),
    "twice-two": DoubleSeqBnConfig(reduction_factor=4),
    "par": ParBnConfig(reduction_factor=2),
}
FUSIONS = {"seq,seq-two": "dynamic", "twice,twice-two": "static"}
COMPOSITIONS = {
    **{name: name for name in ADAPTERS},
    "stack": Stack("seq-inv", "seq"),
    "fuse": Fuse("seq", "seq-two"),
    "fuse-twice": Fuse("twice", "twice-two"),
    "stack-fuse": Stack("seq-inv", Fuse("seq", "seq-two")),
}
WITHOUT_HEAD = {
    "parallel": Parallel("seq", "seq-two"),
    "rows": BatchSplit("seq", "seq-two", batch_sizes=[2, 1]),
}


def batch(padding: int, token_types: int) -> dict[str, torch.Tensor]:
    mask = torch.arange(max(LENGTHS))[None] < torch.tensor(LENGTHS)[:, None]
    ids = torch.randint(5, SIZES["vocab_size"], mask.shape)
    types = torch.randint(token_types, mask.shape)
    return {"ids": torch.where(mask, ids, padding), "mask": mask, "token_types": types}


def draw(model: PreTrainedModel) -> None:
    """All parameters, those that start as 0 or 1 as well."""
    for parameter in model.parameters():
        parameter.data.normal_(std=0.2)


def compute(model: PreTrainedModel, case: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    out = model(
        input_ids=case["ids"],
        attention_mask=case["mask"].long(),
        token_type_ids=case["token_types"],
        output_hidden_states=True,
    )
    return {"states": out.hidden_states[-1]} | ({"logits": out.logits} if "logits" in out else {})


def write(tensors: dict[str, torch.Tensor], path: Path) -> None:
    save_file({name: value.detach().clone() for name, value in tensors.items()}, path)


def write_model(
    model: type[PreTrainedModel], config: type[PretrainedConfig], folder: Path, **settings: object
) -> tuple[PreTrainedModel, dict[str, torch.Tensor]]:
    """The model, and the batch that it was run on."""
    made = model(config(**SIZES, **settings)).eval()
    draw(made)
    made.save_pretrained(folder)
    case = batch(made.config.pad_token_id, made.config.type_vocab_size)
    write(case | compute(made, case), folder / "case.safetensors")
    return made, case


def write_compositions(model: PreTrainedModel, case: dict[str, torch.Tensor], path: Path) -> None:
    found = {}
    wanted = COMPOSITIONS | (WITHOUT_HEAD if isinstance(model, BertModel) else {})
    for name, composition in wanted.items():
        model.set_active_adapters(composition)
        found |= {f"{name} {what}": value for what, value in compute(model, case).items()}
    write(found, path)


def with_flexible_head(model: type[PreTrainedModel], folder: Path, bias: torch.Tensor) -> PreTrainedModel:
    """A model of the adapters library, whose heads know invertible adapters; it leaves the decoder's bias out."""
    made = model.from_pretrained(folder)
    made.heads["default"][3].bias.data = bias.data
    return made


def write_adapters(model: PreTrainedModel, case: dict[str, torch.Tensor], folder: Path, converted: Path) -> None:
    """Draws adapters and fusions, saves them and what they compute; then the same with those of `converted`."""
    for name, config in ADAPTERS.items():
        model.add_adapter(name, config=config)
    for name, config in FUSIONS.items():
        model.add_adapter_fusion(name.split(","), config=config)
    for name, parameter in model.named_parameters():
        if "adapter" in name:
            parameter.data.normal_(std=0.2)
    model.eval()
    (folder / "theirs").mkdir()
    bare = isinstance(model, BertModel)  # a head that shares its weights cannot be saved as safetensors
    for name in ADAPTERS:
        model.save_adapter(str(folder / "theirs" / name), name, use_safetensors=bare)
    for name in FUSIONS:
        model.save_adapter_fusion(str(folder / "theirs" / name), name, use_safetensors=bare)
    write_compositions(model, case, folder / "theirs.safetensors")
    model.delete_adapter_fusion(Fuse("seq", "seq-two"))
    model.delete_adapter_fusion(Fuse("twice", "twice-two"))
    for name in ADAPTERS:
        model.delete_adapter(name)
        model.load_adapter(str(converted / name))
    for name in FUSIONS:
        model.load_adapter_fusion(str(converted / name))
    model.eval()
    write_compositions(model, case, folder / "converted.safetensors")


def write_efficientnet(size: int, folder: Path) -> None:
    """Without a fixed size of pictures, so that the padding follows them."""
    name = f"efficientnet-lite{size}"
    model = EfficientNet.from_name(name, num_classes=10, image_size=None).eval()
    for part, value in model.state_dict().items():
        if value.ndim == 4:
            torch.nn.init.kaiming_normal_(value)
        elif value.is_floating_point():
            value.normal_(float(part.endswith(("var", "weight"))), 0.1)
    pixels = torch.randint(256, (2, 3, 65, 130), dtype=torch.uint8)
    features = model.extract_features(pixels / 127.5 - 1)
    logits = model._fc(features.mean(dim=(2, 3)))
    (folder / name).mkdir()
    write(model.state_dict(), folder / name / "weights.safetensors")
    write({"pixels": pixels, "features": features, "logits": logits}, folder / name / "case.safetensors")


def main(folder: Path) -> None:
    torch.manual_seed(0)
    settings = {"type_vocab_size": 1, "layer_norm_eps": 1e-5}
    body, body_case = write_model(BertModel, BertConfig, folder / "bert-body")
    bert, bert_case = write_model(BertForMaskedLM, BertConfig, folder / "bert")
    roberta, roberta_case = write_model(RobertaForMaskedLM, RobertaConfig, folder / "roberta", **settings)
    write_model(XLMRobertaForMaskedLM, XLMRobertaConfig, folder / "xlm-roberta", **settings)
    adapters.init(body)
    write_adapters(body, body_case, folder / "bert-body", folder / "converted")
    bert = with_flexible_head(BertAdapterModel, folder / "bert", bert.cls.predictions.bias)
    write_adapters(bert, bert_case, folder / "bert", folder / "converted")
    roberta = with_flexible_head(RobertaAdapterModel, folder / "roberta", roberta.lm_head.bias)
    write_adapters(roberta, roberta_case, folder / "roberta", folder / "converted")
    for size in (0, 2):
        write_efficientnet(size, folder)


if __name__ == "__main__":
    with torch.no_grad():
        main(Path(sys.argv[1]))
