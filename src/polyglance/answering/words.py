"""Translates the English answers of a model into the language of the question, with the words of the grammars."""

from typing import Final

from polyglance.errors import ConfigurationError
from polyglance.languages import AUTO, language_code
from polyglance.scenes.grammar import codes, grammar

SOURCE: Final = "en"


def answer_language(code: str, question: str) -> str:
    """Returns the language to answer in.

    code: a language, or `auto` for the question's language, with English as the fallback. question: the code of the
    question's language.

    Raises ConfigurationError if there are no words for answers in `code`.
    """
    code = language_code(code)
    if code == AUTO:
        return question if question in codes() else SOURCE
    if code not in codes():
        raise ConfigurationError(
            f"expected a language with words for answers, {', '.join(codes())} or auto; got {code!r}"
        )
    return code


def word_of(answer: str, language: str, question: str = "") -> str:
    """Returns the answer's word in a language; an answer without one is returned unchanged.

    answer: in English. language: a code that `answer_language` returned. question: the question in that language, which
    the word agrees with; empty if it was asked in another language.
    """
    return grammar(language).answer(answer, question)
