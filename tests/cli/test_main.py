"""How the command ends: the status, and the one line that says why."""

import pytest
import typer
from typer.testing import CliRunner

from polyglance.cli import fail
from polyglance.cli.app import app
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
        ["scenes", "make", "here", "--split", "val", "--seed", "1000000"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(arguments):
    ended = polyglance(*arguments)
    assert ended.status == 2
    assert ended.output == ""
    assert "Error:" in ended.errors or "Usage:" in ended.errors


_TRAIN = "--data x --output y"


@pytest.mark.parametrize(
    ("command", "option", "choices"),
    [
        (f"train retrieval {_TRAIN}", "--mode", ("twin", "cross", "joint")),
        (f"train retrieval {_TRAIN}", "--twin-loss", ("info_nce", "sigmoid", "triplet")),
        (f"train retrieval {_TRAIN}", "--match-loss", ("hard", "binary")),
        (f"train retrieval {_TRAIN}", "--precision", ("bf16", "fp16", "no")),
        (f"train vqa {_TRAIN}", "--precision", ("bf16", "fp16", "no")),
        ("evaluate retrieval --data x", "--split", ("train", "val", "test")),
        ("evaluate retrieval --data x", "--system", ("twin", "cross", "coop", "separate")),
        ("evaluate run --data x", "--split", ("train", "val", "test")),
        ("evaluate vqa --data x", "--split", ("train", "val", "test")),
        ("evaluate xgqa --gold x --predictions y", "--split", ("train", "val", "test")),
        ("scenes make x", "--split", ("train", "val", "test")),
        ("train task x --output y", "--drop-depth", ("robust",)),
        ("ask q --image x --task y", "--drop-depth", ("auto",)),
    ],
)
def test_a_value_that_an_option_does_not_have_is_wrong_usage_and_names_the_choices(command, option, choices):
    ended = CliRunner().invoke(app, [*command.split(), option, "foo"])
    assert (ended.exit_code, ended.stdout) == (2, "")
    for said in (option, "foo", *choices):
        assert said in ended.stderr


@pytest.mark.parametrize("command", [f"train retrieval {_TRAIN}", "train task x --output y", "scenes make x"])
@pytest.mark.parametrize("seed", ["-1", str(2**32), "1.5"])
def test_a_seed_out_of_range_is_wrong_usage(command, seed):
    ended = CliRunner().invoke(app, [*command.split(), "--seed", seed])
    assert (ended.exit_code, ended.stdout) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["search", "-query"], "polyglance search -- -query"),
        (["search", "-k", "5", "--red star"], "polyglance search -- '--red star'"),
        (["search", "-kitchen"], "polyglance search -- -kitchen"),
        (["ask", "-- is it red?", "--image", "x"], "polyglance ask -- '-- is it red?'"),
    ],
)
def test_a_text_that_begins_with_a_dash_gets_a_hint(arguments, hint):
    ended = CliRunner().invoke(app, arguments, prog_name="polyglance")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert hint in " ".join(ended.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [["search", "a", "-k0"], ["search", "a", "--without", "-night", "-k", "0"], ["search", "--", "-a", "-b"]],
)
def test_other_wrong_usage_gets_none(arguments):
    ended = CliRunner().invoke(app, arguments, prog_name="polyglance")
    assert ended.exit_code == 2
    assert "dash" not in ended.stderr


def test_one_option_has_one_name():
    """No command has an option for a depth or a budget but by the one name for each."""
    named = {name for command in commands(app) for parameter in command.params for name in parameter.opts}
    assert {"--drop-depth", "--budget-ms"} <= named
    assert not named & {"--depth", "--budget"}


def commands(of):
    waiting = [typer.main.get_command(of)]
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        yield command


def test_the_version_is_the_packages():
    from polyglance import __version__

    assert polyglance("--version").output == f"polyglance {__version__}\n"


def complete(words: str) -> list[str]:
    """What the shell offers for the last of these words, as bash asks for it."""
    asked = {"_POLYGLANCE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    return polyglance(**asked).output.split()


def test_a_shell_completes_commands_and_options():
    assert complete("polyglance ind") == ["index"]
    assert complete("polyglance library ") == ["info", "remove"]
    assert complete("polyglance search --pa") == ["--paths"]
    shown = polyglance("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_POLYGLANCE_COMPLETE=complete_bash" in shown.output
