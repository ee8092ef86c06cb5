"""Writes the figures of experiments and benchmarks, and resumes long experiments."""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from polyglance import atomic
from polyglance.errors import ConfigurationError, reason_of
from polyglance.kernels.processor import instruction_set

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

UNKNOWN = "unknown"
RESULTS = Path(__file__).parent.parent / "docs" / "results"

Row = dict[str, object]


def write_results(name: str, rows: list[Row], seed: int, started: float, folder: Path = RESULTS) -> Path:
    """Writes `folder/NAME.json`. started: the `time.time()` at which the work began."""
    document = {
        "name": name,
        "command": command(),
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
    """The rows of an experiment so far, written to disk after each addition.

    Each row carries the number of the run that measured it, an index into `runs` of the document (commit, command,
    machine), and the seconds since the rows before it. Rows from before 2026-11-26 carry none.

    name: of the file. folder: where it is. keys: the fields that say what a row measures. A row that is added replaces
    the one that measures the same.
    """

    def __init__(self, name: str, folder: Path, keys: Sequence[str]) -> None:
        self.path, self.keys = folder / f"{name}.json", tuple(keys)
        document = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}
        self.rows: list[Row] = document.get("rows", [])
        self.runs: list[Row] = document.get("runs", [])
        self._before = time.time()

    def has(self, **named: object) -> bool:
        return any(all(row.get(name) == value for name, value in named.items()) for row in self.rows)

    def add(self, rows: Iterable[Row]) -> None:
        """Adds rows that were measured together, and writes the file."""
        rows = list(rows)
        seconds, run = round(time.time() - self._before, 1), self._number(this_run())
        self.put({**row, "seconds": row.get("seconds", seconds), "run": run} for row in rows)
        for row in rows:
            print(*(f"{key}={value}" for key, value in row.items()), file=sys.stderr)
        self.write()
        self._before = time.time()

    def replace(self, part: str, rows: Sequence[Row]) -> None:
        self.rows = [row for row in self.rows if row["part"] != part]
        self.add(rows)

    def merge(self, other: "Results") -> None:
        """Takes over the rows of another file, such as that of a process that measured other seeds.

        Raises ConfigurationError if the files are of different experiments.
        """
        if self.keys != other.keys:
            raise ConfigurationError(f"{other.path} holds rows of another experiment than {self.path}")
        numbers = [self._number(run) for run in other.runs]
        self.put({**row, "run": numbers[row["run"]]} if "run" in row else row for row in other.rows)

    def put(self, rows: Iterable[Row]) -> None:
        place = {self._key(row): number for number, row in enumerate(self.rows)}
        for row in rows:
            number = place.setdefault(self._key(row), len(self.rows))
            self.rows[number : number + 1] = [row]

    def write(self) -> None:
        document = {"name": self.path.stem, "keys": self.keys, "runs": self.runs, "rows": self.rows}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(self.path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")

    def _key(self, row: Row) -> str:
        return json.dumps([row.get(key) for key in self.keys])

    def _number(self, run: Row) -> int:
        if run not in self.runs:
            self.runs.append(run)
        return self.runs.index(run)


def keys_of(path: Path) -> tuple[str, ...]:
    """Returns the `keys` of a file of `Results`. Raises ConfigurationError if it is none."""
    try:
        keys: list[str] = json.loads(path.read_text(encoding="utf-8"))["keys"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(f"expected rows of an experiment in {path}: {reason_of(error)}") from error
    return tuple(keys)


def this_run() -> Row:
    """Describes this process: its command, the commit and the machine."""
    return {"commit": commit(), "command": command(), "machine": machine()}


def images_of(results: Results) -> Path:
    """Returns the folder for plots: that of the documentation, or that of the rows."""
    folder = results.path.parent
    return folder.parent / "images" if folder == RESULTS else folder


def command() -> str:
    module = getattr(sys.modules["__main__"].__spec__, "name", "") or Path(sys.argv[0]).stem
    return " ".join(["python", "-m", module.removesuffix(".__main__"), *sys.argv[1:]])


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Adds what the commands of all experiments take. name: of the experiment."""
    parser.add_argument(
        "--folder", type=Path, help=f"for models [default: runs/{name}, or runs/{name}-small, runs/{name}-COMMIT]"
    )
    parser.add_argument("--output", type=Path, help="for rows [default: docs/results; with --small or --fresh, FOLDER]")
    parser.add_argument("--fresh", action="store_true", help="everything anew, beside what is committed")
    parser.add_argument("--small", action="store_true", help="everything, in seconds, to see that it runs")


def begin(name: str, arguments: argparse.Namespace, keys: Sequence[str]) -> tuple[Path, Results]:
    """Returns the folder of models and the rows so far, and prints how many these are.

    arguments: those of `add_arguments`. keys: see `Results`.
    """
    suffix = f"-{commit()}" if arguments.fresh else "-small" if arguments.small else ""
    folder: Path = arguments.folder or Path("runs") / f"{name}{suffix}"
    results = Results(name, arguments.output or (folder if suffix else RESULTS), keys)
    print(f"{results.path}: {len(results.rows):,} rows were measured before and are kept", flush=True)
    return folder, results


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


@cache
def commit() -> str:
    """Returns the short hash of the commit that is checked out, or `unknown`; with `+` if code was changed since."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":(top)src", ":(top)experiments")
    return _git("rev-parse", "--short", "HEAD") + ("+" if changed not in ("", UNKNOWN) else "")


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
        return UNKNOWN
