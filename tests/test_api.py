"""The public interface is these names and no others, and asking for the package alone loads nothing heavy."""

import os
import subprocess
import sys

import pytest

import polyglance

WAITING = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}
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
