"""Times a search and an index run with and without busy processes beside them, by how OpenMP's threads wait.

    make bench-neighbour
    python -m benchmarks.neighbour [--pictures 500] [--searches 50]

Each setting is measured in a process of its own, because OpenMP reads it once, and beside 0 and then 2 processes that
multiply matrices without end. `chosen` is what `import polyglance` sets if the user has set nothing. Searches are warm.
spread: the fastest and the slowest time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import torch

from experiments.results import RESULTS, Measurements, Row
from polyglance.library import Library
from polyglance.models import BUNDLED
from polyglance.scenes.grammar import grammar
from polyglance.scenes.make import make_scenes, scene_captions
from polyglance.scenes.sampling import FIRST_SEED, sample_scene
from polyglance.scenes.truth import SceneIndex

SEED: Final = FIRST_SEED["test"] + 800_000
WARM_UP: Final = 3
BUSY: Final = 2
SETTINGS: Final[dict[str, dict[str, str]]] = {
    "chosen": {},
    "threads spin, as OpenMP has it": {"GOMP_SPINCOUNT": "300000", "KMP_BLOCKTIME": "200"},
    "threads sleep": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
_OPENMP: Final = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS")


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Runs the block beside this many processes, each of which multiplies matrices in one thread."""
    code = "import torch; torch.set_num_threads(1); x = torch.randn(512, 512)\nwhile True: x @ x"
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(processes)]
    try:
        time.sleep(5 if processes else 0)  # until they have imported torch
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def measured(folder: Path, pictures: int, searches: int, settings: dict[str, str]) -> dict[str, Any]:
    """Runs a process with these settings, and returns its number of threads, the milliseconds of each search and those
    per picture of an index run."""
    environment = {name: value for name, value in os.environ.items() if name not in _OPENMP} | settings
    command = [sys.executable, "-m", "benchmarks.neighbour", "--in", str(folder)]
    sizes = ["--pictures", str(pictures), "--searches", str(searches)]
    done = subprocess.run([*command, *sizes], env=environment, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure_here(folder: Path, pictures: int, searches: int) -> None:
    """Measures in this process, and prints what `measured` reads."""
    scenes = [sample_scene(SEED + number) for number in range(pictures)]
    index, speaker = SceneIndex(scenes), grammar("en")
    queries = [speaker.caption(scene_captions(index, row, unique=False)[1]) for row in range(min(pictures, searches))]
    with (
        tempfile.TemporaryDirectory(dir=folder) as name,
        Library.create(Path(name) / "library", model=BUNDLED) as library,
    ):
        report = library.add(folder / "pictures")
        times = []
        for query in islice(queries * (1 + searches // len(queries)), searches + WARM_UP):
            started = time.perf_counter()
            library.search(query)
            times.append(1000 * (time.perf_counter() - started))
    figures = {"search": times[WARM_UP:], "index": [1000 * report.seconds / report.added]}
    print(json.dumps({"threads": torch.get_num_threads(), "milliseconds": figures}))


def rows(folder: Path, pictures: int, searches: int) -> Iterator[Row]:
    for processes in (0, BUSY):
        for name, settings in SETTINGS.items():
            with busy(processes):
                found = measured(folder, pictures, searches, settings)
            for work, times in found["milliseconds"].items():
                yield {
                    "case": f"{work}, {name}, beside {processes} busy processes",
                    "work": {"search": "a search", "index": "a picture of an index run"}[work],
                    "setting": name,
                    "busy": processes,
                    "ours_ms": round(statistics.median(times), 1),
                    "spread": [round(min(times), 1), round(max(times), 1)],
                    "threads": found["threads"],
                }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--searches", type=int, default=50)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        measure_here(arguments.folder, arguments.pictures, arguments.searches)
        return
    measurements = Measurements("bench_neighbour", SEED, arguments.output)
    with tempfile.TemporaryDirectory() as name:
        make_scenes(Path(name) / "pictures", arguments.pictures, SEED, ["en"])
        for row in rows(Path(name), arguments.pictures, arguments.searches):
            measurements.add(row)


if __name__ == "__main__":
    main()
