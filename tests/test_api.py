"""The public interface is these names and no others, and asking for the package alone loads nothing heavy."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from inspect import isfunction
from typing import get_args, get_type_hints

import pytest
import torch

import polyglance

WAITING = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}
PUBLIC = [
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


def test_the_public_names_are_pinned():
    assert polyglance.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name):
    assert getattr(polyglance, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        polyglance.nonsense  # noqa: B018


def test_every_error_is_a_polyglance_error():
    errors = PUBLIC[PUBLIC.index("PolyglanceError") : -1]
    assert all(issubclass(getattr(polyglance, name), polyglance.PolyglanceError) for name in errors)


def classes_in(hint: object) -> Iterator[type]:
    """Those of the package that stand anywhere in an annotation."""
    if isinstance(hint, type) and hint.__module__.startswith("polyglance"):
        yield hint
    for part in get_args(hint):
        yield from classes_in(part)


def hints_of(public: object) -> Iterator[object]:
    """The annotations of a function, or of a class's fields and public methods. A name that a module imports for the
    type checker alone has to be public, or torch."""
    names = {name: getattr(polyglance, name) for name in PUBLIC} | {"torch": torch}
    if not isinstance(public, type):
        yield from get_type_hints(public, localns=names).values()
        return
    if is_dataclass(public):
        yield from get_type_hints(public, localns=names).values()
    for name, member in vars(public).items():
        function = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if not name.startswith("_") and isfunction(function):
            yield from get_type_hints(function, localns=names).values()


def test_every_class_in_a_public_signature_is_public():
    public = {name: getattr(polyglance, name) for name in PUBLIC[:-1]}
    wanted = {one for value in public.values() for hint in hints_of(value) for one in classes_in(hint)}
    assert {one.__name__ for one in wanted} - set(public) == set()
    assert len(wanted) > 10


def test_importing_the_package_imports_no_torch():
    code = "import sys, polyglance; print({'torch', 'numpy', 'lance', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def printed(code: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """By a process of its own, in which OpenMP's threads wait as nobody set it, but for the settings."""
    environment = {name: value for name, value in os.environ.items() if name not in WAITING}
    line = [sys.executable, "-c", code]
    return subprocess.run(line, capture_output=True, text=True, check=True, env=environment | settings)


def test_threads_that_wait_sleep_unless_the_user_sets_something_else():
    """Spinning, two threads beside another job took ten times as long as one."""
    code = f"import polyglance, os; print({{name: os.environ[name] for name in sorted({WAITING} & os.environ.keys())}})"
    assert printed(code).stdout == "{'OMP_WAIT_POLICY': 'PASSIVE'}\n"
    for name, value in (("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "5"), ("KMP_BLOCKTIME", "1")):
        assert printed(code, **{name: value}).stdout == f"{{'{name}': '{value}'}}\n"


@pytest.mark.skipif(sys.platform != "linux", reason="libgomp, which is torch's OpenMP on Linux, tells what it read")
def test_openmp_has_read_how_threads_are_to_wait():
    told = printed("import polyglance, torch", OMP_DISPLAY_ENV="true").stderr
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in told
