"""What other libraries make of tiny random models, computed once in their own environment."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv-peers" / "bin" / "python"


@pytest.fixture(scope="session")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `peers.py` has filled."""
    if not PEERS.exists():
        pytest.skip("make test makes it: the environment .venv-peers")
    folder = tmp_path_factory.mktemp("peers")
    done = subprocess.run(
        [PEERS, Path(__file__).with_name("peers.py"), folder],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder
