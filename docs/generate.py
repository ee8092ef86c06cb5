"""Write docs/cli.md from the commands' own help: `python -m docs.generate`. A test fails when the page is stale."""

from collections.abc import Iterator
from pathlib import Path

from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from polyglance.cli.app import app

PAGE = Path(__file__).with_name("cli.md")
WIDTH = 100
HEAD = """# The command

`make docs` generates this page from the help of the commands. Every command exits with status 0 (success), 1 (failure;
one line on standard error gives the reason) or 2 (wrong usage). Ctrl-C ends it with status 130.
"""


def commands(group: TyperGroup | TyperCommand, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command that does something, as the words that call it."""
    if not isinstance(group, TyperGroup):
        yield words
        return
    for name, command in group.commands.items():
        yield from commands(command, (*words, name))


ALL = list(commands(get_command(app)))


def help_of(words: tuple[str, ...]) -> str:
    arguments = [*words, "--help"]
    return CliRunner().invoke(app, arguments, prog_name="polyglance", terminal_width=WIDTH).output.rstrip()


def page() -> str:
    sections = [f"## polyglance {' '.join(words)}\n\n```\n{help_of(words)}\n```\n" for words in ALL]
    return "\n".join([HEAD, f"```\n{help_of(())}\n```\n", *sections])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
