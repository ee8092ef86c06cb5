"""The commands' help: each has an example, and docs/cli.md is what `make docs` would write."""

import subprocess
import sys

import pytest

from docs.generate import ALL, PAGE, help_of, page


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_shows_an_example(words):
    assert f"\n    polyglance {' '.join(words)}" in help_of(words)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_can_print_json(words):
    assert "--json" in help_of(words)


def test_the_page_is_not_stale():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_help_loads_nothing_heavy():
    """What makes `--help` quick; how quick it is, `make bench-main_job` tells."""
    code = "import sys, polyglance.cli.app; print(*{'torch', 'lance', 'PIL', 'numpy', 'rich'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
