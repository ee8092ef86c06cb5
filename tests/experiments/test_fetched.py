"""A folder is made once from a source, and again from another."""

from pathlib import Path

import pytest

from experiments.fetched import make_folder, require_folder
from polyglance.errors import ConfigurationError


def test_a_folder_is_made_once_from_each_source(tmp_path: Path) -> None:
    def write(text: str, edition: int) -> str:
        return (
            make_folder(
                tmp_path / "made", {"edition": edition}, lambda folder: bool((folder / "a").write_text(text)) and None
            )
            .joinpath("a")
            .read_text()
        )

    assert [write("one", 1), write("two", 1), write("three", 2)] == ["one", "one", "three"]


def test_a_stopped_writing_leaves_nothing(tmp_path: Path) -> None:
    def stop(folder: Path) -> None:
        (folder / "a").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_folder(tmp_path / "made", {}, stop)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_not_made_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"expected .*made with its files, but they are not there: `python -m them`"
    ):
        require_folder(tmp_path / "made", {}, "python -m them")
