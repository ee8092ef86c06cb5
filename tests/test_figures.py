"""The tables of the documentation say what `docs/results/` says."""

import pytest

from docs.figures import PAGES, filled


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_table_is_stale(page):
    text = page.read_text(encoding="utf-8")
    assert "<!-- scenes -->" in text
    assert filled(text) == text, "run `make docs`"
