"""The languages of the scene world, one module each, found by looking into this folder: a tenth is one new file.

Eight of them are those of the demo and of the bundled model; the others are there by asking (`grammar("fr")`).
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
    """Every language that has a grammar. A language module is named by its two-letter code and defines `GRAMMAR`."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if len(module.name) == 2))


def grammars() -> dict[str, Grammar]:
    """The languages of the demo by their codes, in the codes' order."""
    return {code: grammar(code) for code in sorted(DEMO_LANGUAGES)}


def grammar(code: str) -> Grammar:
    """The grammar of one language.

    Raises:
        ConfigurationError: the scene world has no grammar of that language.
    """
    if code not in codes():
        raise ConfigurationError(
            f"the scene world speaks {', '.join(codes())}, not {code!r}; a language is one file in scenes/grammar"
        )
    spoken: Grammar = importlib.import_module(f"{__name__}.{code}").GRAMMAR
    return spoken
