"""Search your own pictures and ask about them, in many languages.

    from polyglance import Library

    library = Library.create("my-library")
    library.add(["photos"])
    print(library.search("a red star on a white plate").results[0].path)

The names below are the public interface. They are imported on first use, which keeps `import polyglance` fast.
"""

import importlib
import logging
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
    from polyglance.models.identity import ModelIdentity
    from polyglance.models.model import Model
    from polyglance.models.protocol import (
        Answerer,
        AnswerWriter,
        Embedder,
        Matcher,
        PairScorer,
        Picture,
        Reader,
    )
    from polyglance.nn.states import TokenStates
    from polyglance.query import Query, Term
    from polyglance.types import (
        Answer,
        AskResponse,
        AskTasksResponse,
        AwayPictures,
        FailedPicture,
        FailedText,
        FolderInfo,
        IndexReport,
        LibraryInfo,
        Picked,
        SearchResponse,
        SearchResult,
        StoredStates,
        TaskAnswers,
        Text,
        TextReport,
        TextResult,
    )

__version__ = "0.1.0"

# Threads that wait for each other sleep instead of spinning: beside another job, they would spin while the one that
# they wait for has no processor (`make bench-neighbour`). OpenMP reads it once, when torch is first imported
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

__all__ = [
    "Library",
    "Query",
    "load_model",
    "Model",
    "Reader",
    "Embedder",
    "Matcher",
    "Answerer",
    "AnswerWriter",
    "PairScorer",
    "ModelIdentity",
    "Text",
    "Picture",
    "TokenStates",
    "StoredStates",
    "Term",
    "SearchResponse",
    "SearchResult",
    "TextResult",
    "Picked",
    "AskResponse",
    "AskTasksResponse",
    "Answer",
    "TaskAnswers",
    "IndexReport",
    "TextReport",
    "FailedPicture",
    "FailedText",
    "AwayPictures",
    "LibraryInfo",
    "FolderInfo",
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
    "Model": "polyglance.models.model",
    "Reader": "polyglance.models.protocol",
    "Embedder": "polyglance.models.protocol",
    "Matcher": "polyglance.models.protocol",
    "Answerer": "polyglance.models.protocol",
    "AnswerWriter": "polyglance.models.protocol",
    "PairScorer": "polyglance.models.protocol",
    "ModelIdentity": "polyglance.models.identity",
    "Text": "polyglance.types",
    "Picture": "polyglance.models.protocol",
    "TokenStates": "polyglance.nn.states",
    "StoredStates": "polyglance.types",
    "Term": "polyglance.query",
    "SearchResponse": "polyglance.types",
    "SearchResult": "polyglance.types",
    "TextResult": "polyglance.types",
    "Picked": "polyglance.types",
    "AskResponse": "polyglance.types",
    "AskTasksResponse": "polyglance.types",
    "Answer": "polyglance.types",
    "TaskAnswers": "polyglance.types",
    "IndexReport": "polyglance.types",
    "TextReport": "polyglance.types",
    "FailedPicture": "polyglance.types",
    "FailedText": "polyglance.types",
    "AwayPictures": "polyglance.types",
    "LibraryInfo": "polyglance.types",
    "FolderInfo": "polyglance.types",
}
"""Where a public name lives that is not an error."""


logging.getLogger(__name__).addHandler(logging.NullHandler())  # a library says nothing unless it is asked to


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, "polyglance.errors")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
