"""The tables of the documentation say what `docs/results/` says."""

import pytest

from docs.figures import PAGES, TABLES, filled


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_table_is_stale(page):
    text = page.read_text(encoding="utf-8")
    assert any(f"<!-- {name} -->" in text for name in TABLES)
    assert filled(text) == text, "run `make docs`"
