"""The languages of the scene world, one module each in this folder: one new file adds a language.

Eight of them are the languages of the demo and of the bundled model; the others are available by code
(`grammar("fr")`).
"""

import importlib
import pkgutil
from functools import cache

from polyglance.errors import ConfigurationError
from polyglance.languages import DEMO_LANGUAGES
from polyglance.scenes.grammar.base import Grammar

__all__ = ["Grammar", "codes", "grammar", "grammars"]


@cache
def codes() -> tuple[str, ...]:
    """Returns the codes of all languages with a grammar: the modules with two-letter names, which define `GRAMMAR`."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if len(module.name) == 2))


def grammars() -> dict[str, Grammar]:
    """Returns the grammars of the demo's languages by code, sorted."""
    return {code: grammar(code) for code in sorted(DEMO_LANGUAGES)}


def grammar(code: str) -> Grammar:
    """Returns the grammar of one language.

    Raises:
        ConfigurationError: there is no grammar for this language.
    """
    if code not in codes():
        raise ConfigurationError(
            f"the scene world speaks {', '.join(codes())}, not {code!r}; a language is one file in scenes/grammar"
        )
    spoken: Grammar = importlib.import_module(f"{__name__}.{code}").GRAMMAR
    return spoken
