"""Writes the figures of experiments and benchmarks, and resumes long experiments."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from polyglance.errors import ConfigurationError
from polyglance.kernels.processor import instruction_set

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RESULTS = Path(__file__).parent.parent / "docs" / "results"

Row = dict[str, object]


def write_results(name: str, rows: list[Row], seed: int, started: float, folder: Path = RESULTS) -> Path:
    """Writes `folder/NAME.json`. started: the `time.time()` at which the work began."""
    module = getattr(sys.modules["__main__"].__spec__, "name", name)
    document = {
        "name": name,
        "command": " ".join(["python", "-m", module.removesuffix(".__main__"), *sys.argv[1:]]),
        "commit": commit(),
        "seed": seed,
        "machine": machine(),
        "seconds": round(time.time() - started, 1),
        "rows": rows,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


class Measurements:
    """The rows of a benchmark, written to disk after each addition.

    Each row names the instruction set with which it was measured (`instruction_set`). It replaces an earlier row of the
    same case and dtype that names the same instruction set or none. Rows of other instruction sets stay, so that two
    states of a machine can be compared.
    """

    def __init__(self, name: str, seed: int, folder: Path = RESULTS) -> None:
        self._name, self._seed, self._folder, self._started = name, seed, folder, time.time()
        self.rows: list[Row] = _read_rows(folder / f"{name}.json")

    def add(self, row: Row) -> None:
        row = {**row, "instruction_set": instruction_set()}
        same = [number for number, old in enumerate(self.rows) if _measures_the_same(old, row)]
        if same:
            self.rows[same[0]] = row
        else:
            self.rows.append(row)
        print(json.dumps(row, ensure_ascii=False), file=sys.stderr)
        write_results(self._name, self.rows, self._seed, self._started, self._folder)


def _measures_the_same(old: Row, new: Row) -> bool:
    return old.get("instruction_set") in (None, new["instruction_set"]) and all(
        old.get(key) == new.get(key) for key in ("case", "other", "dtype")
    )


def _read_rows(path: Path) -> list[Row]:
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    return rows


class Results:
    """The rows of an experiment so far, written to disk after each addition."""

    def __init__(self, name: str, folder: Path, seed: int) -> None:
        self.name, self.folder, self.seed, self.started = name, folder, seed, time.time()
        self.rows: list[Row] = _read_rows(folder / f"{name}.json")

    def has(self, **named: object) -> bool:
        return any(all(row.get(name) == value for name, value in named.items()) for row in self.rows)

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self.rows.append(row)
            print(*(f"{key}={value}" for key, value in row.items()), file=sys.stderr)
        write_results(self.name, self.rows, self.seed, self.started, self.folder)

    def replace(self, part: str, rows: Sequence[Row]) -> None:
        self.rows = [row for row in self.rows if row["part"] != part]
        self.add(rows)


def open_folder(folder: Path, settings: "DataclassInstance") -> None:
    """Makes the folder of a run.

    Raises ConfigurationError if it holds a run with other settings, which would be resumed otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "settings.json"
    document = json.dumps(asdict(settings), indent=1) + "\n"
    if path.exists() and (before := json.loads(path.read_text())) != (now := json.loads(document)):
        changed = sorted(name for name, value in now.items() if before.get(name) != value)
        raise ConfigurationError(f"{folder} holds a run with another {', '.join(changed)}: name another folder")
    path.write_text(document)


def report(stage: str, done: int, total: int, losses: dict[str, float]) -> None:
    """Prints the progress of a training every 100 steps."""
    if done % 100 == 0 or done == total:
        print(stage, f"{done}/{total}", *(f"{name}={value:.3f}" for name, value in losses.items()), file=sys.stderr)


def commit() -> str:
    """Returns the short hash of the commit that is checked out, or `unknown`."""
    return _git("rev-parse", "--short", "HEAD")


def machine() -> Row:
    """Describes the machine that the figures were measured on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": _processor(), "instruction_set": instruction_set(), "cores": os.cpu_count(), "gpu": gpu}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
