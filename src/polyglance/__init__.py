"""Search your own pictures and ask about them, in many languages.

    from polyglance import Library

    library = Library.create("my-library")
    library.add(["photos"])
    print(library.search("a red star on a white plate").results[0].path)

The names below are the public interface. They are imported when first used, so that `import polyglance` costs nothing.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from polyglance.errors import (
        CheckpointError,
        ConfigurationError,
        DataError,
        LibraryDamaged,
        LibraryError,
        LibraryMismatch,
        LibraryMissing,
        PictureError,
        PolyglanceError,
        QueryError,
        TrainingError,
    )
    from polyglance.library import Library
    from polyglance.models import load_model
    from polyglance.query import Query

__version__ = "0.1.0"

# Threads that wait for each other sleep instead of spinning: beside another job, they would spin while the one that
# they wait for has no processor (`make bench-neighbour`). OpenMP reads it once, when torch is first imported
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

__all__ = [
    "Library",
    "Query",
    "load_model",
    "PolyglanceError",
    "ConfigurationError",
    "DataError",
    "PictureError",
    "QueryError",
    "TrainingError",
    "CheckpointError",
    "LibraryError",
    "LibraryMissing",
    "LibraryMismatch",
    "LibraryDamaged",
    "__version__",
]

_HOMES: Final = {
    "Library": "polyglance.library",
    "Query": "polyglance.query",
    "load_model": "polyglance.models",
}
"""Where a public name lives that is not an error."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, "polyglance.errors")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
