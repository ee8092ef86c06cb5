"""Packages are fetched by their registry's client, checked and read."""

from hashlib import sha256
from pathlib import Path

import pytest

from experiments.pictures.packages import Package, fetch, files_of
from polyglance.errors import ConfigurationError, DataError
from tests.experiments.pictures.archives import write_deb, write_tgz

FILES = {"./usr/share/a.svg": b"<svg/>", "./usr/share/b.txt": b"b"}


def client(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Puts a command `npm` in front of any other."""
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_files_of_a_debian_package(tmp_path: Path) -> None:
    package = write_deb(tmp_path / "a.deb", FILES)
    assert list(files_of(package, lambda name: name.endswith(".svg"))) == [("usr/share/a.svg", b"<svg/>")]


def test_the_files_of_an_npm_package(tmp_path: Path) -> None:
    package = write_tgz(tmp_path / "a.tgz", {"img/1.png": b"1", "README.md": b""})
    assert dict(files_of(package, lambda _: True)) == {"img/1.png": b"1", "README.md": b""}


@pytest.mark.parametrize("name", ["a.deb", "a.tgz"])
def test_a_torn_package_is_an_error(tmp_path: Path, name: str) -> None:
    path = write_deb(tmp_path / name, FILES) if name.endswith("deb") else write_tgz(tmp_path / name, FILES)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=rf"{name}: expected"):
        list(files_of(path, lambda _: True))


def test_a_file_that_is_no_package_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_bytes(b"<html>")
    with pytest.raises(DataError, match="expected a Debian package"):
        list(files_of(tmp_path / "a.deb", lambda _: True))


def test_a_package_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = write_tgz(tmp_path / "theirs.tgz", {"a": b"a"}).read_bytes()
    client(
        tmp_path / "bin", monkeypatch, f'[ "$*" = "pack --silent pictures@1.0.0" ] && cp {tmp_path}/theirs.tgz p.tgz'
    )
    package = Package("npm", "pictures", "1.0.0", sha256(content).hexdigest())
    path = fetch(package, tmp_path / "cache")
    assert path.read_bytes() == content
    (tmp_path / "theirs.tgz").unlink()
    assert fetch(package, tmp_path / "cache") == path
    assert list((tmp_path / "cache").iterdir()) == [path]


def test_a_package_of_an_organization_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client(tmp_path / "bin", monkeypatch, 'echo "$*" > p.tgz')
    content = b"pack --silent @they/pictures@1.0.0\n"
    path = fetch(Package("npm", "@they/pictures", "1.0.0", sha256(content).hexdigest()), tmp_path / "cache")
    assert path == tmp_path / "cache" / "they-pictures-1.0.0.tgz"
    assert path.read_bytes() == content


def test_another_file_than_expected_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client(tmp_path / "bin", monkeypatch, "echo other > p.tgz")
    with pytest.raises(
        ConfigurationError, match=r"expected pictures 1\.0\.0 with the sha256 00, got one with [0-9a-f]{64}"
    ):
        fetch(Package("npm", "pictures", "1.0.0", "00"), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_error_of_the_client_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client(tmp_path / "bin", monkeypatch, "echo 'no such version' >&2; exit 1")
    wanted = r"could not be fetched: no such version; see that `npm pack --silent pictures@1\.0\.0` works"
    with pytest.raises(ConfigurationError, match=wanted):
        fetch(Package("npm", "pictures", "1.0.0", "00"), tmp_path / "cache")


def test_a_machine_without_the_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"expected the command apt-get.*or put its file at .*p_1%3a2\.deb"):
        fetch(Package("debian", "p", "1:2", "00"), tmp_path / "cache")
