"""The public interface is these names and no others, and asking for the package alone loads nothing heavy."""

import subprocess
import sys

import pytest

import polyglance

PUBLIC = [
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


def test_the_public_names_are_pinned():
    assert polyglance.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name):
    assert getattr(polyglance, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        polyglance.nonsense  # noqa: B018


def test_every_error_is_a_polyglance_error():
    assert all(issubclass(getattr(polyglance, name), polyglance.PolyglanceError) for name in PUBLIC[3:-1])


def test_importing_the_package_imports_no_torch():
    code = "import sys, polyglance; print({'torch', 'numpy', 'lance', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
