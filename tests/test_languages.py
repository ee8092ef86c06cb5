import pytest

from polyglance.languages import DEMO_LANGUAGES, NAMES, detect


def test_every_demo_language_has_a_name():
    assert tuple(NAMES) == DEMO_LANGUAGES


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("красная звезда", "ru"),
        ("লাল তারা", "bn"),
        ("빨간 별", "ko"),
        ("红色的星星", "zh"),
        ("ein roter Stern", "auto"),
        ("赤い星", "auto"),
        ("красная звезда (star)", "ru"),
        ("42 !?", "auto"),
        ("", "auto"),
    ],
)
def test_a_script_of_one_language_tells_it(text: str, language: str):
    assert detect(text) == language
