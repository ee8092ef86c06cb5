import pytest

from polyglance.answering.words import UNKNOWN, answer_language, word_of
from polyglance.errors import ConfigurationError
from polyglance.languages import AUTO
from polyglance.scenes.grammar import codes


@pytest.mark.parametrize(
    ("said", "question", "expected"),
    [(AUTO, "de", "de"), (AUTO, AUTO, "en"), (AUTO, "tr", "en"), ("fr", "de", "fr"), ("en", "ko", "en")],
)
def test_answers_are_in_the_language_said_or_asked_in(said: str, question: str, expected: str) -> None:
    assert answer_language(said, question) == expected


def test_a_language_without_words_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"bn, de, en, fr, .* or auto; got 'tr'"):
        answer_language("tr", "de")


@pytest.mark.parametrize(
    ("answer", "language", "word"),
    [("dog", "de", "Hund"), ("3", "de", "3"), ("zeppelin", "de", "zeppelin"), ("dog", "en", "dog")],
)
def test_an_answer_without_a_word_stays_as_it_is(answer: str, language: str, word: str) -> None:
    assert word_of(answer, language) == word


def test_a_word_agrees_with_the_question() -> None:
    assert word_of("red", "pt", "Qual é a cor da estrela?") == "vermelha"
    assert word_of("red", "pt") == "vermelho"


@pytest.mark.parametrize("code", codes())
def test_a_picture_that_is_unknown_is_said_to_be_in_every_language(code: str) -> None:
    said = {word_of(UNKNOWN, one) for one in codes()}
    assert len(said) == len(codes())
    assert word_of(UNKNOWN, code, "a question") == word_of(UNKNOWN, code) != UNKNOWN
