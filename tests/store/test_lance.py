"""The database as a folder: made whole, opened by its own model alone, and never worse than one clear line."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from polyglance.errors import ConfigurationError, LibraryDamaged, LibraryError, LibraryMismatch, LibraryMissing
from polyglance.store.lance import LanceDatabase
from polyglance.store.protocols import PictureFacts, ReaderFacts, TextFacts
from polyglance.store.tables import ROWS_HELD, LanceVectorStore
from polyglance.types import StoredStates

READER = ReaderFacts("scenes-mini", "scenes-mini", "f" * 32)
OTHER = ReaderFacts("other", "/models/other one", "0" * 32)


def facts(path: str, folder: str = "/my pictures") -> PictureFacts:
    return PictureFacts(path, folder, path, 1, 2, 3, 4)


def put(database: LanceDatabase, *paths: str) -> None:
    database.states.put({path: StoredStates(np.ones((2, 3), np.int8), np.ones(2, np.float16)) for path in paths})
    database.pictures.put([facts(path) for path in paths], np.eye(4, dtype=np.float32)[: len(paths)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "my library"


@pytest.fixture
def database(folder: Path) -> LanceDatabase:
    LanceDatabase.create(folder, 4, READER)
    database = LanceDatabase(folder)
    put(database, "/a", "/b")
    return database


def test_a_missing_library_says_how_to_make_one(folder: Path):
    with pytest.raises(LibraryMissing, match=f"polyglance index FOLDER --library '{folder}'"):
        LanceDatabase(folder)


def test_creating_leaves_nothing_else_behind(folder: Path):
    LanceDatabase.create(folder, 4, READER)
    assert os.listdir(folder.parent) == [folder.name]
    assert sorted(os.listdir(folder)) == ["pictures.lance", "states.lance", "writer.lock"]
    assert LanceDatabase(folder).reader == READER


def test_an_empty_folder_becomes_a_library_and_stays_the_same_folder(folder: Path):
    """The top of a drive cannot be replaced by another folder, and what is beside it may be on another drive."""
    folder.mkdir()
    (folder / "lost+found").mkdir()
    before = folder.stat().st_ino
    LanceDatabase.create(folder, 4, READER)
    assert len(LanceDatabase(folder).pictures) == 0
    assert folder.stat().st_ino == before


@pytest.mark.parametrize("processes", [False, True])
def test_several_that_open_a_new_library_at_a_time_all_have_it(folder: Path, processes: bool):
    if processes:
        code = (
            "import sys\nfrom pathlib import Path\nfrom tests.store.test_lance import READER, LanceDatabase\n"
            "sys.stdin.readline()\nLanceDatabase.create(Path(sys.argv[1]), 4, READER)\n"
            "assert LanceDatabase(Path(sys.argv[1])).reader == READER\n"
        )
        command = [sys.executable, "-c", code, str(folder)]
        started = [subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).parents[2]) for _ in range(4)]
        for process in started:
            process.communicate(b"\n")
        assert [process.returncode for process in started] == [0] * 4
    else:
        together = Barrier(8)

        def make(_: int) -> ReaderFacts:
            together.wait()
            LanceDatabase.create(folder, 4, READER)
            return LanceDatabase(folder).reader

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(make, range(8))) == [READER] * 8
    assert sorted(os.listdir(folder)) == ["pictures.lance", "states.lance", "writer.lock"]


def test_a_creation_that_was_killed_between_its_tables_is_made_again(folder: Path):
    LanceDatabase.create(folder, 4, READER)
    shutil.rmtree(folder / "pictures.lance")
    (folder / ".pictures.lance.1-1.part").mkdir()
    assert not LanceDatabase.exists(folder)
    LanceDatabase.create(folder, 4, OTHER)
    assert LanceDatabase(folder).reader == OTHER
    assert sorted(os.listdir(folder)) == ["pictures.lance", "states.lance", "writer.lock"]


@pytest.mark.parametrize("name", ["two\nlines", "bell\x07", "latin\udce9"])
def test_a_name_that_lance_cannot_open_is_refused_before_anything_is_made(tmp_path: Path, name: str):
    with pytest.raises(ConfigurationError, match="UTF-8 without control characters"):
        LanceDatabase.create(tmp_path / name, 4, READER)
    assert os.listdir(tmp_path) == []


def test_a_folder_of_something_else_is_left_alone(folder: Path):
    folder.mkdir()
    (folder / "holiday.png").touch()
    with pytest.raises(ConfigurationError, match="holds something else"):
        LanceDatabase.create(folder, 4, READER)
    assert os.listdir(folder) == ["holiday.png"]


def test_its_own_model_may_open_it_whatever_it_is_called(database: LanceDatabase):
    database.check(ReaderFacts("renamed", "/elsewhere", READER.fingerprint))


def test_another_model_is_refused_with_the_command_that_rebuilds(database: LanceDatabase, folder: Path):
    with pytest.raises(LibraryMismatch) as caught:
        database.check(OTHER)
    command = str(caught.value).split("read the pictures again: ")[1]
    remove, index = command.split(" && ")
    assert shlex.split(remove) == ["rm", "-r", str(folder)]
    assert shlex.split(index) == [
        *["polyglance", "index", "/my pictures"],
        *["--library", str(folder), "--model", "/models/other one"],
    ]


def test_the_model_is_still_known_after_tidying(database: LanceDatabase, folder: Path):
    database.tidy()
    database.sync()
    reopened = LanceDatabase(folder)
    assert reopened.reader == READER
    assert [row.path for row in reopened.pictures.facts()] == ["/a", "/b"]
    assert len(reopened.states.get(["/a", "/b"])) == 2


def test_tidying_joins_small_files(database: LanceDatabase, folder: Path):
    for number in range(20):
        put(database, f"/{number}")
    database.tidy()
    reopened = LanceDatabase(folder)
    assert len(reopened.pictures._table.latest().get_fragments()) == 1


def test_what_another_process_wrote_is_seen(database: LanceDatabase, folder: Path):
    put(LanceDatabase(folder), "/c")
    assert [row.path for row in database.pictures.facts()] == ["/a", "/b", "/c"]
    assert database.states.ids() == {"/a", "/b", "/c"}


def test_from_the_second_search_on_the_rows_are_in_memory_and_stay_those_of_the_table(folder: Path):
    """Cosines are as they were; what any process writes or removes is seen by the next search and by those after it."""
    LanceDatabase.create(folder, 8, READER)
    ours, theirs = LanceDatabase(folder).pictures, LanceDatabase(folder)
    vectors = np.random.default_rng(0).normal(size=(320, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    there: dict[int, np.ndarray] = {}

    def check() -> None:
        for _ in range(3):
            scores = sorted(((float(row @ vectors[0]), f"/{n}") for n, row in there.items()), reverse=True)[:10]
            hits = ours.search(vectors[0], 10)
            assert [hit.facts for hit in hits] == [facts(path) for _, path in scores]
            assert [hit.score for hit in hits] == pytest.approx([score for score, _ in scores], abs=1e-6)

    def write(store: LanceVectorStore, rows: range, of: np.ndarray) -> None:
        store.put([facts(f"/{n}") for n in rows], of[rows.start : rows.stop])
        there.update((n, of[n]) for n in rows)
        check()

    check()
    write(ours, range(300), vectors)
    write(theirs.pictures, range(300, 320), vectors)
    write(theirs.pictures, range(20), -vectors)
    gone = range(100, 140)
    theirs.pictures.remove([f"/{n}" for n in gone])
    there = {n: row for n, row in there.items() if n not in gone}
    check()
    theirs.tidy()
    check()


def test_a_table_that_is_too_large_is_not_held_in_memory(folder: Path):
    LanceDatabase.create(folder, 2, READER)
    store = LanceDatabase(folder).pictures
    angles = np.linspace(0, 1, ROWS_HELD + 1)
    store.put(
        [facts(str(n)) for n in range(len(angles))], np.stack([np.cos(angles), np.sin(angles)], 1, dtype=np.float32)
    )
    for held in (False, True):
        assert [store.search(np.eye(2, dtype=np.float32)[1], 1)[0].facts.path for _ in range(2)] == [str(ROWS_HELD)] * 2
        assert (store._held is not None) == held
        store.remove(["0"])


def test_texts_are_held_in_memory_too(database: LanceDatabase):
    database.make_texts().put([TextFacts("t", "c", "a star", "en", "/texts")], np.eye(4, dtype=np.float32)[:1])
    for _ in range(3):
        assert [hit.facts.text for hit in database.texts.search(np.ones(4, np.float32), 5)] == ["a star"]
    assert database.texts is database.texts


def test_there_is_one_writer_at_a_time(database: LanceDatabase, folder: Path):
    with database.writer(), pytest.raises(LibraryError, match="another run is adding"), LanceDatabase(folder).writer():
        pass
    with LanceDatabase(folder).writer():
        pass


def cut(pattern: str, share: float) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        files = list(folder.glob(pattern))
        assert files
        for file in files:
            os.truncate(file, int(file.stat().st_size * share))

    return damage


def lose(pattern: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        paths = list(folder.glob(pattern))
        assert paths
        for path in paths:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


@pytest.mark.parametrize("table", ["pictures", "states"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda table: cut(f"{table}.lance/data/*", 0.5),
        lambda table: cut(f"{table}.lance/data/*", 0),
        lambda table: lose(f"{table}.lance/data/*"),
        lambda table: cut(f"{table}.lance/_versions/*", 0.5),
        lambda table: cut(f"{table}.lance/_versions/*", 0),
        lambda table: lose(f"{table}.lance/_versions"),
        lambda table: lose(f"{table}.lance"),
    ],
    ids=["data cut", "data empty", "data lost", "versions cut", "versions empty", "versions lost", "table lost"],
)
def test_damage_is_one_line_that_says_what_to_do(
    database: LanceDatabase, folder: Path, table: str, damage: Callable[[str], Callable[[Path], None]]
):
    damage(table)(folder)
    with pytest.raises(LibraryDamaged) as caught:
        use(LanceDatabase(folder))
    text = str(caught.value)
    assert "\n" not in text
    assert f"rm -r '{folder}' && polyglance index FOLDER --library '{folder}'" in text


def use(database: LanceDatabase) -> None:
    database.pictures.search(np.ones(4, np.float32), 2)
    database.states.get(["/a", "/b"])


def test_a_full_disk_is_no_damage(folder: Path):
    """A library on a device that takes no more, here a limit on the size of files, says so and keeps what it holds."""
    LanceDatabase.create(folder, 4, READER)
    put(LanceDatabase(folder), "/a")
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from polyglance.errors import LibraryDamaged, LibraryError\n"
        "from tests.store.test_lance import LanceDatabase, put\n"
        "database = LanceDatabase(Path(sys.argv[1]))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "try:\n    put(database, '/b')\n"
        "except LibraryError as error:\n    print(type(error).__name__, error)\n"
    )
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.startswith("LibraryError the library at")
    assert len(done.stdout.splitlines()) == 1
    assert [row.path for row in LanceDatabase(folder).pictures.facts()] == ["/a"]
