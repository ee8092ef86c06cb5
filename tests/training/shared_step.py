"""What each of several processes runs: the gradients of a step, saved by the first; then the command.

python -m tests.training.shared_step GRADIENTS train retrieval --data ... --model ... --output ...
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from polyglance.cli import main
from polyglance.data.captions import read_captions
from polyglance.models import load_model
from polyglance.training.retrieval.caption_batches import CaptionSource
from polyglance.training.retrieval.objectives import RetrievalLosses, RetrievalSettings


def gradients(data: Path, model: Path, path: Path) -> None:
    """Of all losses of a batch of five, which no two processes share equally."""
    settings = RetrievalSettings(precision="no", distil=True)
    source, teacher = CaptionSource(read_captions(data), 5, seed=0), load_model(str(model))
    teacher.match_head.weight.data *= 30
    losses = RetrievalLosses(load_model(str(model)).float(), source, settings, teacher=teacher).train()
    terms = losses.step(0)
    torch.stack(list(terms.values())).sum().backward()
    trained = list(losses.parameters())
    losses.devices.clip(trained, torch.inf)
    if losses.devices.first:
        save_file({name: value.grad for name, value in losses.named_parameters() if value.grad is not None}, path)


if __name__ == "__main__":
    path, *arguments = sys.argv[1:]
    gradients(Path("captions.jsonl"), Path("model"), Path(path))
    sys.argv = ["polyglance", *arguments]
    main()
