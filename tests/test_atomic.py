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
