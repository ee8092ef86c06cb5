import contextlib
import io
import json
import os
import re
import subprocess
import sys

import pytest

from polyglance.cli.app import show_search
from polyglance.cli.output import bar, console, file_name, one_line, print_json, progress, table
from polyglance.types import Picked, SearchResponse
from tests.cli.command import SOURCE


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines", r"two\nlines"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m", r"\x9b31m"),
        ("abc\u202etxt.png", r"abc\u202etxt.png"),
        ("caf\udce9.png", r"caf\udce9.png"),
        ("ক্ষ\u200dত 강아지 小狗", "ক্ষ\u200dত 강아지 小狗"),
        ("[bold]name[/bold]", "[bold]name[/bold]"),
    ],
)
def test_nothing_reaches_the_terminal_that_it_would_obey(text, shown):
    assert one_line(text) == shown


def test_a_path_is_shown_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert file_name(str(tmp_path / "pictures" / "[a]\n.png")) == os.path.join("pictures", r"[a]\n.png")
    assert file_name(str(tmp_path.parent / "b.png")) == str(tmp_path.parent / "b.png")


def test_markup_in_a_file_name_is_only_text():
    output = console()
    output.file = io.StringIO()
    shown = table("file")
    shown.add_row(one_line("[red]x[/red] :smile: [/]"))
    output.print(shown)
    assert "[red]x[/red] :smile: [/]" in output.file.getvalue()


def test_a_long_name_is_folded_and_never_cut():
    output = console()
    output.file = io.StringIO()
    output.width = 40
    shown = table("#", "file", numbers=["#"])
    shown.add_row("1", "a" * 100)
    output.print(shown)
    assert output.file.getvalue().count("a") == 100


def test_json_keeps_scripts_and_any_file_name(capsys):
    document = {"query": "강아지 কুকুর", "path": os.fsdecode(b"caf\xe9\x9b.png"), "control": "\x1b\x9b"}
    print_json(document)
    written = capsys.readouterr().out
    assert json.loads(written) == document
    assert os.fsencode(json.loads(written)["path"]) == b"caf\xe9\x9b.png"
    assert "강아지 কুকুর" in written
    assert "\x1b" not in written
    assert "\x9b" not in written


@pytest.mark.parametrize(
    ("share", "cells"), [(-1.0, ""), (0.0, ""), (0.5, "██"), (1.0, "████"), (7.0, "████"), (0.3, "█▎")]
)
def test_a_bar_is_as_long_as_its_share(share, cells):
    assert bar(share, width=4) == cells


def test_no_progress_where_standard_error_is_no_terminal(capsys):
    with progress("Reading pictures") as tick:
        assert tick is None
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_progress_shows_on_a_terminal_and_not_on_standard_output(tmp_path):
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "polyglance", "scenes", "make", tmp_path / "scenes", "--count", "20", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TERM": "xterm"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=theirs, check=True)
    os.close(theirs)
    assert json.loads(done.stdout)["pictures"] == 20
    assert b"Drawing scenes" in os.read(ours, 100_000)
    os.close(ours)


def test_a_search_with_a_budget_says_what_was_picked(capsys):
    times = {"text": 1.0, "retrieve": 2.0, "rerank": 3.0, "total": 6.0}
    show_search(SearchResponse("a star", "en", "m", [], times, Picked(42, 3, 24.96)), "pictures", None)
    assert "reranked 42 at drop depth 3: 25.0 ms expected\n" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_stages_say_what_is_done_and_how_long_is_left() -> None:
    """A run that goes on at step 50 does not count what it did before; a validation that comes again begins anew."""
    import pty

    program = """
import time
from polyglance.cli.output import stages
with stages() as report:
    report("training", 50, 100, {})
    time.sleep(0.3)
    report("training", 51, 100, {"loss": 0.5})
    for _ in range(2):
        report("validating", 0, 3, {})
        report("validating", 3, 3, {})
    report("validating", 1, 3, {})
    time.sleep(1.0)
"""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=theirs)
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # a terminal whose program has ended
        while part := os.read(ours, 4096):
            written += part
    os.close(ours)
    assert process.wait() == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.decode())
    assert re.search(r"training \S+ +50/100 0:00:00", shown)
    left = re.findall(r"51/100 0:00:0(\d), 0:00:(\d\d) left", shown)
    assert left
    assert all(int(seconds) >= 14 for _, seconds in left)
    assert "loss 0.500" in shown
    assert re.search(r"validating \S+ +1/3 ", shown)
