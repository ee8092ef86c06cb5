"""In which language a text is, by its script and by its words."""

import json
from collections.abc import Iterator

import pytest

from polyglance.languages import AUTO, DEMO_LANGUAGES, NAMES, detect, language_code, nearest, script, script_of
from tests.shared_data import shared_data


def test_every_demo_language_has_a_name():
    assert tuple(NAMES) == DEMO_LANGUAGES


@pytest.mark.parametrize(
    ("code", "near"), [("it", "pt"), ("nl", "en"), ("uk", "ru"), ("hi", "bn"), ("ja", "zh"), ("vi", "en"), ("el", "en")]
)
def test_the_nearest_language_is_of_its_family_or_else_of_its_script(code: str, near: str):
    assert nearest(code, DEMO_LANGUAGES) == near


@pytest.mark.parametrize(
    ("text", "code"), [("une étoile", "fr"), ("звезда star", "ru"), ("星とさくら", "ja"), ("별", "ko"), ("星", "zh")]
)
def test_the_script_of_most_letters(text: str, code: str):
    assert script(text) == script_of(code)


@pytest.mark.parametrize("tag", ["de", "DE", "de-DE", "de_AT", " De-Latn-DE ", "de_DE.UTF-8"])
def test_the_code_of_a_tag(tag: str):
    assert language_code(tag) == "de"


def test_without_letters_there_is_no_script():
    assert script("1 + 2") == ""


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("красная звезда", "ru"),
        ("লাল তারা", "bn"),
        ("빨간 별", "ko"),
        ("红色的星星", "zh"),
        ("ein roter Stern", "de"),
        ("uma estrela vermelha", "pt"),
        ("bintang merah", "id"),
        ("a red star", "en"),
        ("赤い星", "auto"),
        ("красная звезда (star)", "ru"),
        ("ein roter Stern \ud800", "de"),
        ("xq", "auto"),
        ("42 !?", "auto"),
        ("", "auto"),
    ],
)
def test_a_text_tells_its_language(text: str, language: str):
    assert detect(text) == language


@pytest.mark.parametrize(
    ("text", "among", "language"),
    [
        ("une étoile rouge", ("en", "fr", "es"), "fr"),
        ("una estrella roja", ("en", "fr", "es", "pt"), "es"),
        ("赤い星", ("ja", "zh"), "ja"),
        ("红色的星星", ("ja", "zh"), "zh"),
        ("червона зірка на тарілці", ("ru", "uk"), "uk"),
        ("ein roter Stern", ("en", "ru"), "en"),  # the one with such letters, which is as near as it gets
        ("красная звезда", ("en", "de"), "auto"),
        ("nyota nyekundu", ("sw", "zu"), "auto"),  # known by neither
        ("ein roter Stern", (), "auto"),
    ],
)
def test_only_languages_that_may_be_are_said(text: str, among: tuple[str, ...], language: str):
    assert detect(text, among) == language


def questions(language: str) -> Iterator[str]:
    folder = shared_data() / "xgqa" / "few_shot" / language
    for name in ("dev", "train_48"):
        yield from (row["question"] for row in json.loads((folder / f"{name}.json").read_text()).values())


@pytest.mark.parametrize("language", DEMO_LANGUAGES)
def test_real_questions_tell_their_language(language: str):
    """All of 2,912, and nearly all by their first two words, of which Chinese has none."""
    asked = list(questions(language))
    assert len(asked) == 2912
    assert [text for text in asked if detect(text) != language] == []
    if language != "zh":
        begun = [detect(" ".join(text.split()[:2])) for text in asked]
        assert begun.count(language) / len(begun) > 0.997
        assert begun.count(AUTO) / len(begun) < 0.001
