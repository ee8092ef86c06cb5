"""What is taken of a known picture that a run did not find; what a library does then is in `tests/test_library.py`."""

from pathlib import Path

import pytest

from polyglance.data.images import FoundPictures
from polyglance.indexing.missing import Missing, find_missing, named_alone, root_of
from polyglance.store.protocols import PictureFacts


def facts(path: Path, content: str = "") -> PictureFacts:
    return PictureFacts(str(path), str(path.parent), content or path.name, 1, 1, 8, 8)


def found(*paths: Path, unreadable: tuple[Path, ...] = ()) -> FoundPictures:
    return FoundPictures(sorted(map(str, paths)), {str(path): "permission denied" for path in unreadable}, [])


def missing(root: Path, known: list[PictureFacts], seen: FoundPictures, *contents: str) -> Missing:
    return find_missing({row.path: row for row in known}, [str(root)], seen, contents)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(("stayed", "away"), [(0, True), (2, True), (3, False), (9, False)])
def test_more_missing_than_still_there_are_away(tmp_path: Path, stayed: int, away: bool):
    there = [tmp_path / f"there{number}.png" for number in range(stayed)]
    lost = [tmp_path / f"lost{number}.png" for number in range(3)]
    touch(tmp_path / "a file that is no picture", *there)
    held = missing(tmp_path, [facts(path) for path in [*there, *lost]], found(*there))
    names = set(map(str, lost))
    assert held == (Missing(set(), {str(tmp_path): names}, set()) if away else Missing(set(), {}, names))


def test_the_nearest_folder_that_is_there_is_looked_at_and_it_is_away_if_it_is_empty(tmp_path: Path):
    there = [tmp_path / f"{number}.png" for number in range(9)]
    touch(*there, tmp_path / "full" / "file")
    (tmp_path / "empty").mkdir()
    lost = [tmp_path / "empty" / "a.png", tmp_path / "empty" / "deep" / "er" / "b.png", tmp_path / "full" / "c.png"]
    held = missing(tmp_path, [facts(path) for path in [*there, *lost]], found(*there))
    assert held == Missing(set(), {str(tmp_path): {str(lost[0]), str(lost[1])}}, {str(lost[2])})


def test_what_moved_is_neither_away_nor_a_reason_to_be_away(tmp_path: Path):
    lost, new = [tmp_path / f"{number}.png" for number in range(3)], tmp_path / "new" / "0.png"
    touch(new, tmp_path / "2.png")
    known = [facts(path) for path in [*lost, tmp_path / "elsewhere.png"]]
    held = missing(tmp_path, known, found(new, tmp_path / "2.png"), "0.png", "2.png")
    assert held.moved == {str(lost[0])}
    other = [facts(tmp_path.parent / "not there" / "a.png", "0.png"), facts(tmp_path / "2.png", "0.png")]
    elsewhere = find_missing({row.path: row for row in other}, [str(new.parent)], found(new), ["0.png"])
    assert elsewhere == Missing({other[0].path}, {}, set())  # the other one is still there


def test_nothing_is_said_of_a_folder_that_could_not_be_listed_or_was_not_named(tmp_path: Path):
    known = [facts(tmp_path / "shut" / "a.png"), facts(tmp_path / "other" / "b.png")]
    seen = found(unreadable=(tmp_path / "shut",))
    held = find_missing({row.path: row for row in known}, [str(tmp_path / "shut")], seen, [])
    assert held == Missing(set(), {}, set())


def test_files_that_were_named_alone_are_those_that_a_walk_passes_over(tmp_path: Path):
    paths = [tmp_path / name for name in ("a.dat", ".b.png", ".c/d.png", "e.png", "gone.dat")]
    touch(*paths[:4])
    known = list(map(str, paths))
    assert named_alone(known, [str(tmp_path)], found(paths[3])) == sorted(map(str, paths[:3]))
    assert named_alone(known, [str(tmp_path / ".c")], found(paths[2])) == []


def test_the_longest_root_holds_a_path():
    roots = {"/a", "/a/b", "/c.png"}
    paths = ("/a/x.png", "/a/b/x.png", "/a/bc/x.png", "/c.png", "/c.png.png", "/b")
    assert [root_of(path, roots) for path in paths] == ["/a", "/a/b", "/a", "/c.png", None, None]
    assert root_of("/x", {"/"}) == "/"
