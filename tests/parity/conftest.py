"""What other libraries make of tiny random models, computed once in their own environment."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from polyglance.adapters.adapterhub import convert
from polyglance.adapters.checkpoint import save_adapter, save_fusion
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
WIDTH, LAYERS = 32, 3
"""Of all models that `peers.py` makes."""

OURS = {
    "seq": AdapterConfig(reduction_factor=4),
    "seq-two": AdapterConfig(reduction_factor=4),
    "seq-gelu": AdapterConfig(reduction_factor=2.5, activation="gelu", depth=1),
    "seq-gelu-new": AdapterConfig(reduction_factor=4, activation="gelu_tanh", depth=2),
    "seq-inv": AdapterConfig(reduction_factor=2, invertible=True),
    "twice": AdapterConfig("houlsby", reduction_factor=4, activation="silu"),
    "twice-two": AdapterConfig("houlsby", reduction_factor=4, activation="silu"),
    "par": AdapterConfig("parallel", reduction_factor=2, scaling=4.0),
}
"""Adapters made here, by their names there."""
OUR_FUSIONS = {"seq,seq-two": 1, "twice,twice-two": 2}
"""Fusions made here, with the number of their places."""


@pytest.fixture(scope="session")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `peers.py` has filled, given `ours` and what was made of it for the library, `converted`."""
    if not PEERS.exists():
        pytest.fail("expected the environment .venv-peers, which `make test` makes")
    folder = tmp_path_factory.mktemp("peers")
    torch.manual_seed(0)
    for name, config in OURS.items():
        save_adapter(drawn(Adapter(config, WIDTH, LAYERS)), folder / "ours" / name, name)
    for name, places in OUR_FUSIONS.items():
        save_fusion(drawn(FusionWeights(name.split(","), places, WIDTH, LAYERS)), folder / "ours" / name)
    for source in (folder / "ours").iterdir():
        convert(source, folder / "converted" / source.name)
    done = subprocess.run(
        [PEERS, Path(__file__).with_name("peers.py"), folder],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def drawn(module: Any) -> Any:
    """With all parameters random."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    return module
