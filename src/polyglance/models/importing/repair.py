"""Rewrites published checkpoints of towers and of BLIP whose weights do not fit, with the weights that do."""

from pathlib import Path
from shutil import copyfile

import torch

from polyglance.models.families.blip import MODEL_TYPES, network_of
from polyglance.models.families.towers import ARCHITECTURES
from polyglance.models.huggingface.components import WHAT_COUNTS, quiet, read_network
from polyglance.models.huggingface.download import DESCRIPTION, read_json

MENDED = (*ARCHITECTURES, *MODEL_TYPES)
"""The values of model_type of these checkpoints in config.json."""


def write_what_fits(folder: Path, output: Path) -> dict[str, list[str]]:
    """Writes a checkpoint to `output` in the hub's layout, and returns the names of weights by what is wrong with them.

    Weights that are missing or have another shape are drawn at random from a fixed seed. Weights that are left over are
    not written.

    Raises:
        CheckpointError: files are missing or torn.
    """
    import transformers

    kind = read_json(folder, DESCRIPTION)["model_type"]
    network_class = ARCHITECTURES[kind].network if kind in ARCHITECTURES else network_of(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, wrong = read_network(getattr(transformers, network_class), folder, "auto")
    with quiet():
        network.save_pretrained(output)
    for path in folder.iterdir():
        of_weights = path.suffix == ".safetensors" or path.name.endswith(".index.json")
        if path.suffix in WHAT_COUNTS and not of_weights and not (output / path.name).exists():
            copyfile(path, output / path.name)
    return wrong
