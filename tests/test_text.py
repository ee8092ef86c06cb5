import pytest

from polyglance.text import collapse_white_space


@pytest.mark.parametrize(
    "text",
    [
        "a red\nstar",
        "a\u00a0red\u3000star",
        " a  red\t\r\nstar\u2029",
        "a\x00red\x1b\x85star\x7f",
        "\ufeffa r\u00aded\u200b star",
        "\u202aa red star\u202c\u200e",
        "a red star",
    ],
)
def test_one_space_stands_between_words(text: str):
    assert collapse_white_space(text) == "a red star"


def test_what_spells_words_and_emoji_stays():
    for text in (
        "র\u200d্যাব",
        "می\u200cخواهم",
        "👩\u200d🚀",
        "🏴\U000e0067\U000e0062\U000e007f",
        "zu\u0308rich",
        "a\ud800",
    ):
        assert collapse_white_space(text) == text


def test_white_space_alone_is_nothing():
    assert collapse_white_space(" \n\u3000\u200b\x00") == ""
