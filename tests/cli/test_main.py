"""How the command ends: the status, and the one line that says why."""

import pytest

from polyglance.cli import fail
from polyglance.errors import LibraryMissing
from tests.cli.command import polyglance


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (LibraryMissing("no library in x: make one"), "polyglance: no library in x: make one\n"),
        (LibraryMissing("no library in \x1b[31m\nx"), "polyglance: no library in \\x1b[31m\\nx\n"),
        (PermissionError(13, "Permission denied", "/root/x"), "polyglance: Permission denied: /root/x\n"),
        (ValueError("a\nb"), "polyglance: unexpected ValueError: a\\nb (POLYGLANCE_DEBUG=1 shows where)\n"),
    ],
)
def test_an_error_is_one_line_and_status_1(error, line, capsys):
    with pytest.raises(SystemExit) as ended:
        fail(error)
    assert ended.value.code == 1
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["index", "--library", "here"],
        ["search"],
        ["search", "a dog", "-k", "0"],
        ["search", "a dog", "--nonsense"],
        ["search", "a dog", "--min-score", "2"],
        ["ask", "Is there a dog?"],
        ["ask", "Is there a dog?", "--image", "x.png", "--query", "a dog"],
        ["scenes", "make"],
        ["scenes", "make", "here", "--split", "all"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(arguments):
    ended = polyglance(*arguments)
    assert ended.status == 2
    assert ended.output == ""
    assert "Error:" in ended.errors or "Usage:" in ended.errors


def test_the_version_is_the_packages():
    from polyglance import __version__

    assert polyglance("--version").output == f"polyglance {__version__}\n"
