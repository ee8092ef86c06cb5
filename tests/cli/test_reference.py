"""The commands' help: each has an example, and docs/cli.md is what `make docs` would write."""

import time

import pytest

from docs.generate import ALL, PAGE, help_of, page
from tests.cli.command import polyglance


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_shows_an_example(words):
    assert f"\n    polyglance {' '.join(words)}" in help_of(words)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_can_print_json(words):
    assert "--json" in help_of(words)


def test_the_page_is_not_stale():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_help_is_quick():
    """Half a second here, where other work may run; alone it takes less than a tenth."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert polyglance("--help").status == 0
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5
