"""Answers in the asker's language. A model answers with English words; what they are elsewhere, the grammars know."""

from typing import Final

from polyglance.errors import ConfigurationError
from polyglance.languages import AUTO, language_code
from polyglance.scenes.grammar import codes, grammar

SOURCE: Final = "en"


def answer_language(code: str, question: str) -> str:
    """The language to answer in. code: `auto` is the question's, or English where there are no words of that.

    Raises ConfigurationError for a language without words.
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
    """The answer in a language of `answer_language`; an answer without a word in it stays as it is.

    question: in that language, for the word to agree with; empty where it was asked in another.
    """
    return grammar(language).answer(answer, question)
