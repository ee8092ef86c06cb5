"""The languages of the scene world, one module each, found by looking into this folder: a ninth is one new file."""

import importlib
import pkgutil
from functools import cache

from polyglance.scenes.grammar.base import Grammar

__all__ = ["Grammar", "grammar", "grammars"]


@cache
def grammars() -> dict[str, Grammar]:
    """Every language by its code. A language module is named by its two-letter code and defines `GRAMMAR`."""
    codes = sorted(module.name for module in pkgutil.iter_modules(__path__) if len(module.name) == 2)
    return {code: importlib.import_module(f"{__name__}.{code}").GRAMMAR for code in codes}


def grammar(code: str) -> Grammar:
    """The grammar of one language.

    Raises:
        ConfigurationError: the scene world has no grammar of that language.
    """
    from polyglance.errors import ConfigurationError

    if code not in grammars():
        raise ConfigurationError(
            f"the scene world speaks {', '.join(grammars())}, not {code!r}; a language is one file in scenes/grammar"
        )
    return grammars()[code]
