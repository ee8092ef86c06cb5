"""The names of emoji that a model is asked for."""

import pytest

from experiments.emoji import queries
from polyglance.data.gallery import gallery
from polyglance.languages import DEMO_LANGUAGES
from polyglance.scenes.world import EMOJI_OF


@pytest.mark.parametrize("language", DEMO_LANGUAGES)
def test_held_out_names_are_of_emoji_that_no_caption_names(language: str) -> None:
    entries = gallery()
    held_out, seen = (dict(queries(kind, language)) for kind in ("held-out names", "seen names"))
    assert all(entries[row].name_is_held_out(language) for row in held_out)
    assert not {entries[row].id for row in held_out} & set(EMOJI_OF.values())
    assert not any(entries[row].name_is_held_out(language) for row in seen)
    left = {entry.id for row, entry in enumerate(entries) if row not in held_out and row not in seen}
    assert left <= set(EMOJI_OF.values())
    assert 120 < len(held_out) < 180
