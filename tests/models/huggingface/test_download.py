import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models.huggingface.download import checkpoint_folder
from tests.cli.command import SOURCE
from tests.hub_server import COMMIT, serving


def write(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    save_file({"weight": torch.zeros(1)}, folder / "model.safetensors")
    return folder


def without_network(cache: Path, *names: str) -> list[str]:
    """What the names give in a process of its own that has this cache and no network."""
    return json.loads(in_a_process(cache, {"HF_HUB_OFFLINE": "1"}, *names).stdout)


def in_a_process(cache: Path, settings: dict[str, str], *names: str) -> subprocess.CompletedProcess[str]:
    script = (
        "import json, sys\n"
        "from polyglance.errors import PolyglanceError\n"
        "from polyglance.models.huggingface.download import checkpoint_folder\n"
        "def found(name):\n"
        "    try:\n"
        "        return str(checkpoint_folder(name))\n"
        "    except PolyglanceError as error:\n"
        "        return f'{type(error).__name__}: {error}'\n"
        "print(json.dumps([found(name) for name in sys.argv[1:]]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "HF_HUB_CACHE": str(cache), **settings}
    return subprocess.run(
        [sys.executable, "-c", script, *names], env=environment, cwd=cache, capture_output=True, check=True, text=True
    )


def test_a_folder_is_itself(tmp_path: Path) -> None:
    folder = write(tmp_path / "owner" / "model")
    assert checkpoint_folder(str(folder)) == folder


def test_the_hubs_cache_serves_without_a_network(tmp_path: Path) -> None:
    kept = tmp_path / "models--owner--model"
    write(kept / "snapshots" / ("0" * 40))
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("0" * 40)
    there, missing = without_network(tmp_path, "owner/model", "owner/other")
    assert there == str(kept / "snapshots" / ("0" * 40))
    assert missing.startswith("ConfigurationError: no folder 'owner/other'")
    assert "name a folder" in missing


def sharded(folder: Path, *there: str) -> Path:
    """A snapshot whose index names two files, with those that are there."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict(zip("ab", names, strict=True))})
    )
    for name in there or names:
        save_file({"weight": torch.zeros(1)}, folder / name)
    return folder


def cached(cache: Path, name: str, revision: str = "main") -> Path:
    """The folder of a snapshot in the hub's cache."""
    kept = cache / f"models--{name.replace('/', '--')}"
    (kept / "refs").mkdir(parents=True, exist_ok=True)
    (kept / "refs" / revision).write_text(COMMIT)
    return kept / "snapshots" / COMMIT


def test_one_of_two_files_of_weights_is_no_snapshot(tmp_path: Path) -> None:
    whole = sharded(cached(tmp_path, "owner/whole"))
    sharded(cached(tmp_path, "owner/half"), "model-00001-of-00002.safetensors")
    found, refused = without_network(tmp_path, "owner/whole", "owner/half")
    assert found == str(whole)
    assert refused.startswith("CheckpointError: owner/half: its weights are incomplete")
    assert "model-00002-of-00002.safetensors" in refused


def test_what_is_missing_of_a_snapshot_is_fetched(tmp_path: Path) -> None:
    folder, cache = sharded(tmp_path / "there"), tmp_path / "cache"
    sharded(cached(cache, "owner/model"), "model-00001-of-00002.safetensors")
    with serving("owner/model", folder) as (address, fetched):
        online = {"HF_ENDPOINT": address, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1"}
        (found,) = json.loads(in_a_process(cache, online, "owner/model").stdout)
    assert "model-00002-of-00002.safetensors" in fetched
    assert (Path(found) / "model-00002-of-00002.safetensors").exists()


def test_a_revision_is_taken_by_its_name_and_by_its_commit(tmp_path: Path) -> None:
    snapshot = write(cached(tmp_path, "owner/model", "v2"))
    named, by_commit, main = without_network(tmp_path, "owner/model@v2", f"owner/model@{COMMIT}", "owner/model")
    assert named == by_commit == str(snapshot)
    assert main.startswith("ConfigurationError: no folder 'owner/model'")


def test_a_folder_that_lacks_some_of_its_weights_is_refused(tmp_path: Path) -> None:
    folder = sharded(tmp_path / "half", "model-00002-of-00002.safetensors")
    with pytest.raises(CheckpointError, match=r"1 of the files .* such as model-00001-of-00002\.safetensors"):
        checkpoint_folder(str(folder))


def test_what_is_fetched_is_said_once_with_its_size_and_no_pickle_is(tmp_path: Path) -> None:
    folder, cache = write(tmp_path / "there"), tmp_path / "cache"
    (folder / "pytorch_model.bin").write_bytes(bytes(10**6))
    (folder / "vocab.txt").write_bytes(bytes(300_000))
    cache.mkdir()
    with serving("owner/model", folder) as (address, fetched):
        online = {"HF_ENDPOINT": address, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1"}
        first, second = (in_a_process(cache, online, "owner/model") for _ in range(2))
    assert sorted(fetched) == ["config.json", "model.safetensors", "vocab.txt"]
    assert "fetching owner/model from the Hugging Face hub, once: 0.3 MB\n" in first.stderr
    assert "fetching" not in second.stderr
    (found,) = json.loads(second.stdout)
    assert json.loads(first.stdout) == [found]
    assert (Path(found) / "vocab.txt").stat().st_size == 300_000


@pytest.mark.parametrize("name", ["nowhere/at/all", "./missing", "a model", ""])
def test_what_is_neither_a_folder_nor_a_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"which is neither|neither a folder"):
        checkpoint_folder(name)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected a file config\.json"):
        checkpoint_folder(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="there are none"):
        checkpoint_folder(str(tmp_path))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pt"])
def test_pickle_is_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).write_bytes(b"\x80\x04")
    with pytest.raises(CheckpointError, match=rf"pickle \({name}\).*save_pretrained"):
        checkpoint_folder(str(tmp_path))
