"""Run by the Python of `.venv-peers`: `in_library.py BODY FOLDER...` computes tasks' logits with the adapters library.

Each FOLDER has an adapter as the library keeps it (`adapter`) and `case.safetensors`: ids, mask and types of the
tokens, weight and bias of the head. The logits go to `logits.safetensors`.
"""

import sys
from pathlib import Path

import torch
from adapters import AutoAdapterModel
from safetensors.torch import load_file, save_file

BATCH = 64


def main(body: str, folder: Path) -> None:
    case = load_file(folder / "case.safetensors")
    model = AutoAdapterModel.from_pretrained(body)
    name = model.load_adapter(str(folder / "adapter"))
    model.add_classification_head(name, num_labels=len(case["bias"]), layers=1)
    head = model.heads[name][-1]
    head.weight.data, head.bias.data = case["weight"], case["bias"]
    model.set_active_adapters(name)
    model.active_head = name
    model.eval()
    parts = (case[key].split(BATCH) for key in ("ids", "mask", "types"))
    logits = [
        model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
        for ids, mask, types in zip(*parts, strict=True)
    ]
    save_file({"logits": torch.cat(logits)}, folder / "logits.safetensors")


if __name__ == "__main__":
    with torch.no_grad():
        for folder in sys.argv[2:]:
            main(sys.argv[1], Path(folder))
