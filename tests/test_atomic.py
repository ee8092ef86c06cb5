"""A file or folder is there whole or as it was, whatever ends the writing."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from polyglance import atomic


def test_what_was_written_takes_the_place(tmp_path: Path):
    path = tmp_path / "costs [1].json"
    atomic.write_text(path, "old")
    atomic.write_text(path, "neu ⭐")
    assert path.read_text("utf-8") == "neu ⭐"
    assert os.listdir(tmp_path) == [path.name]


def test_an_error_leaves_what_was_there(tmp_path: Path):
    path = tmp_path / "log"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        atomic.write_text(path, "new \udcff")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["log"]


def test_a_kill_leaves_what_was_there_and_its_draft_goes_in_time(tmp_path: Path):
    path = tmp_path / "log"
    path.write_text("old")
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom polyglance import atomic\n"
        "with atomic.whole(Path(sys.argv[1])) as draft:\n"
        "    draft.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    (left,) = set(os.listdir(tmp_path)) - {"log"}
    assert atomic.is_draft(left)
    atomic.write_text(path, "new")
    assert left in os.listdir(tmp_path)  # its process may still write
    os.utime(tmp_path / left, (time.time() - 2 * 24 * 3600,) * 2)
    atomic.write_text(path, "newer")
    assert os.listdir(tmp_path) == ["log"]


def test_a_folder_is_whole_or_not_there(tmp_path: Path):
    path = tmp_path / "table"
    with suppress(ZeroDivisionError), atomic.whole(path) as draft:
        draft.mkdir()
        (draft / "half").touch()
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []
    with atomic.whole(path) as draft:
        draft.mkdir()
        (draft / "all").touch()
    assert [str(found.relative_to(tmp_path)) for found in sorted(tmp_path.rglob("*"))] == ["table", "table/all"]


def test_files_of_a_folder_come_together_and_the_description_last(tmp_path: Path):
    folder = tmp_path / "new" / "model"
    with atomic.whole_files(folder) as draft:
        (draft / "config.json").write_text("1")
        (draft / "weights").write_text("1")
        assert not folder.exists()
    (folder / "notes").touch()
    with atomic.whole_files(folder) as draft:
        (draft / "config.json").write_text("2")
        (draft / "tower").mkdir()
        (draft / "tower" / "weights").write_text("2")
        assert (folder / "config.json").read_text() == "1"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        *("config.json", "weights", "notes", "tower/weights")
    }
    assert (folder / "config.json").read_text() == "2"


SAVERS = {
    "the log of a training": "from polyglance.training.loop import _forget_after; _forget_after(folder / 'log', 1)",
    "validations": (
        "from torch import nn; from polyglance.training.validation import Validations;"
        "Validations(folder, nn.Linear(2, 2), lambda: 0.1, 0)(2)"
    ),
    "a model": (
        "from polyglance.models import BUNDLED, load_trainable\nfrom polyglance.models.checkpoint import save_model\n"
        "class Full:\n    def save(self, path): raise OSError(27, 'File too large')\n"
        "model = load_trainable(BUNDLED)\nmodel.tokenizer = Full()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**30, 2**30))\nsave_model(model, folder)"
    ),
}


@pytest.mark.parametrize("saver", SAVERS)
def test_a_full_disk_or_a_kill_leaves_what_was_saved_before(tmp_path: Path, saver: str):
    """A disk that is full after three bytes: a file that is written in place is cut short."""
    files = {"log": '{"step": 0}\n{"step": 1}\n', "validation.json": "[0.25]", "best.safetensors": "old"}
    files |= {"model.safetensors": "old", "config.json": "old", "tokenizer.json": "old"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    code = (
        "import resource, sys\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3, 2**30))\n"
        f"{SAVERS[saver]}\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True)
    assert b"File too large" in done.stderr
    assert {name: (tmp_path / name).read_text() for name in files} == files
