"""What is said of a library that cannot be used: the true reason, and `rm -r` only where a file is seen to be torn."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import lance
import numpy as np
import pyarrow as pa
import pytest

from polyglance.errors import ConfigurationError, LibraryDamaged, LibraryError
from polyglance.store.lance import LanceDatabase
from polyglance.store.protocols import ReaderFacts
from tests.store.test_lance import READER, put

ROOT = Path(__file__).parents[2]
USE = """
import sys
from pathlib import Path
from polyglance.errors import LibraryError
from tests.store.test_lance import READER, LanceDatabase, put, use
folder, steps = Path(sys.argv[1]), sys.argv[2].split()
try:
    if "create" in steps:
        LanceDatabase.create(folder, 4, READER)
    database = LanceDatabase(folder)
    if "put" in steps:
        with database.writer():
            put(database, "/a", "/b")
            database.tidy()
            database.sync()
    if "use" in steps:
        use(database)
    print("done")
except LibraryError as error:
    print(type(error).__name__, error)
"""


def run(folder: Path, steps: str, *before: str, **environment: str) -> str:
    """What a process prints that takes these steps with the library in `folder`. before: words before its command."""
    command = [*before, sys.executable, "-c", USE, str(folder), steps]
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    return done.stdout


def make(folder: Path) -> Path:
    LanceDatabase.create(folder, 4, READER)
    put(LanceDatabase(folder), "/a", "/b")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "my library")


@pytest.fixture(scope="session")
def somebody() -> list[str]:
    """The beginning of a command that runs as a user who is not root."""
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("another user is only to be had by root")
    if subprocess.run([*command, sys.executable, "-c", "import lance"], capture_output=True).returncode:
        pytest.skip("another user cannot run this Python")
    return command


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may look into, which those of pytest are not."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize(
    "closed", ["", "pictures.lance", "states.lance/data", "pictures.lance/_versions", "states.lance/data/*"]
)
def test_a_missing_permission_is_no_damage(open_folder: Path, somebody: list[str], closed: str):
    folder = make(open_folder / "my library")
    for path in folder.glob(closed) if closed else [folder]:
        path.chmod(0)
    said = run(folder, "use", *somebody)
    assert said.startswith(f"LibraryError the library at {folder} cannot be read: permission denied")
    assert "rm -r" not in said


def test_a_library_of_somebody_else_is_read_and_not_written(open_folder: Path, somebody: list[str]):
    folder = make(open_folder / "my library")
    assert run(folder, "use", *somebody) == "done\n"
    assert "cannot be written, and keeps what it holds: permission denied" in run(folder, "put", *somebody)


def test_a_library_is_not_made_where_nobody_may(open_folder: Path, somebody: list[str]):
    said = run(open_folder / "new" / "library", "create", *somebody)
    assert "cannot be written, and keeps what it holds: permission denied" in said
    assert os.listdir(open_folder) == []


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("what a drive refuses is made with a C compiler on Linux")
    built = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("drive_shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", built, source, "-ldl"], check=True)
    return str(built)


@pytest.mark.parametrize("refused", ["link", "fsyncdir"])
def test_a_drive_without_links_or_syncs_of_folders_holds_a_library(tmp_path: Path, shim: str, refused: str):
    library = tmp_path / "library"
    assert run(library, "create put use", SHIM=refused, LD_PRELOAD=shim) == "done\n"
    assert sorted(os.listdir(library)) == ["pictures.lance", "states.lance", "writer.lock"]


@pytest.mark.parametrize("refused", ["flock", "nosup"])
def test_a_drive_without_locks_is_named_and_left_as_it_was(tmp_path: Path, shim: str, refused: str, folder: Path):
    before = sorted(tmp_path.rglob("*"))
    for path in (tmp_path / "new" / "library", folder):
        said = run(path, "create put" if path != folder else "put", SHIM=refused, LD_PRELOAD=shim)
        assert said.startswith(f"LibraryError the drive of the library at {path} cannot lock files")
    assert sorted(tmp_path.rglob("*")) == before


def test_vectors_of_another_dimension_are_no_damage(folder: Path):
    database = LanceDatabase(folder)
    for _ in range(3):
        with pytest.raises(ConfigurationError, match="expected vectors of 4 values, as the library holds, got 3"):
            database.pictures.search(np.ones(3, np.float32), 1)
    with pytest.raises(ConfigurationError, match="expected vectors of 4 values, as the library holds, got 5"):
        database.pictures.put(database.pictures.facts(), np.ones((2, 5), np.float32))


def test_more_may_be_asked_for_than_any_number_holds(folder: Path):
    database = LanceDatabase(folder)
    for _ in range(3):
        assert len(database.pictures.search(np.ones(4, np.float32), 10**19)) == 2


def test_the_tables_of_another_program_are_not_to_be_removed(tmp_path: Path):
    lance.write_dataset(pa.table({"path": ["/a"]}), tmp_path / "pictures.lance")
    with pytest.raises(LibraryError, match="written by another program") as caught:
        LanceDatabase(tmp_path)
    assert "rm -r" not in str(caught.value)


def test_bytes_that_changed_in_a_whole_file_are_not_called_torn(folder: Path):
    """It may be the drive, the memory or a newer Lance: what cannot be known is no reason to remove anything."""
    for path in folder.glob("pictures.lance/_versions/*.manifest"):
        whole = path.read_bytes()
        path.write_bytes(b"\xff" * (len(whole) - 16) + whole[-16:])
    with pytest.raises(LibraryError, match=f"index FOLDER --library '{folder}-2'") as caught:
        LanceDatabase(folder)
    assert not isinstance(caught.value, LibraryDamaged)
    assert "rm -r" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a%20b", "a#b?c=d", "c:d", "s3:", "звезда 星", "a'b\"c", "-r", "*.part"])
def test_a_library_may_have_any_name(tmp_path: Path, name: str):
    LanceDatabase.create(tmp_path / name, 4, ReaderFacts("m", "m", "f"))
    put(LanceDatabase(tmp_path / name), "/a", "/b")
    assert os.listdir(tmp_path) == [name]
    assert len(LanceDatabase(tmp_path / name).pictures.search(np.ones(4, np.float32), 5)) == 2
