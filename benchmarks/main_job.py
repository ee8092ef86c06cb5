"""Times the main job: indexing 2,000 pictures, searching them, asking about one, and the cold start of a command.

    make bench-main_job

Warm times are medians over 100 calls in eight languages after 10 that do not count; cold ones over 7 whole processes of
each kind, in turns. A cold search may take 1.4 times as long as importing torch in the same run.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

from experiments.results import RESULTS, Measurements, Row
from polyglance.library import Library
from polyglance.models import BUNDLED
from polyglance.scenes.grammar import grammars
from polyglance.scenes.make import make_scenes, scene_captions, scene_questions
from polyglance.scenes.sampling import FIRST_SEED, sample_scene
from polyglance.scenes.truth import SceneIndex

SEED = FIRST_SEED["test"] + 700_000
WARM_UP, CALLS, PROCESSES = 10, 100, 7
TIMES_TORCH = 1.4


def milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def row(case: str, times: list[float], required: float | None, **more: object) -> Row:
    """Returns a row without a peer. required: a limit of our own."""
    return {
        "case": case,
        "ours_ms": round(statistics.median(times), 1),
        "required": required,
        "spread": [round(min(times), 1), round(max(times), 1)],
        **more,
    }


def warm_rows(library: Library, folder: Path, pictures: int) -> list[Row]:
    scenes = [sample_scene(SEED + i) for i in range(CALLS + WARM_UP)]
    index = SceneIndex(scenes)
    speakers = list(islice(cycle(grammars().values()), len(scenes)))
    queries = [speaker.caption(scene_captions(index, i, unique=False)[1]) for i, speaker in enumerate(speakers)]
    questions = [speaker.say(scene_questions(scene)[0][0]) for speaker, scene in zip(speakers, scenes, strict=True)]
    paths = [folder / scene.image for scene in scenes]
    searches = [milliseconds(lambda q=query: library.search(q)) for query in queries][WARM_UP:]
    asks = [milliseconds(lambda q=q, p=p: library.ask(q, image=p)) for q, p in zip(questions, paths, strict=True)]
    return [
        row(f"search of {pictures:,} pictures, 20 reranked, warm", searches, 60),
        row("question about a picture of the library, warm", asks[WARM_UP:], 30),
    ]


def cold_rows(library: Path, picture: Path) -> list[Row]:
    # As an installed command, which has been compiled to bytecode
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def command(*arguments: str) -> Callable[[], object]:
        line = [sys.executable, "-m", "polyglance", *arguments]
        return lambda: subprocess.run(line, check=True, capture_output=True, env=environment)

    importing = [sys.executable, "-c", "import torch"]
    cases: dict[str, Callable[[], object]] = {
        "polyglance --help, cold": command("--help"),
        'python -c "import torch"': lambda: subprocess.run(importing, check=True, capture_output=True),
        "polyglance index of what is unchanged, cold": command("index", str(picture.parent), "--library", str(library)),
        "polyglance search, cold": command("search", "a red star", "--library", str(library)),
        "polyglance ask, cold": command("ask", "Is it night?", "--image", str(picture), "--model", BUNDLED),
    }
    turns = [{case: milliseconds(work) for case, work in cases.items()} for _ in range(PROCESSES + 1)][1:]
    torch = statistics.median(turn['python -c "import torch"'] for turn in turns)
    required = {
        "polyglance --help, cold": 300,
        "polyglance search, cold": round(TIMES_TORCH * torch),
        "polyglance ask, cold": round(TIMES_TORCH * torch),
    }
    rows = [row(case, [turn[case] for turn in turns], required.get(case)) for case in cases]
    return [{**one, "times_torch": round(one["ours_ms"] / torch, 2)} for one in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    measured = Measurements("bench_main_job", SEED, arguments.output)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_scenes(folder / "pictures", arguments.pictures, SEED, ["en"])
        library = Library.create(folder / "library", model=BUNDLED)
        report = library.add([folder / "pictures"])
        again = library.add([folder / "pictures"])
        rows = [
            row(
                f"indexing {report.added:,} PNG files",
                [1000 * report.seconds],
                None,
                pictures_per_second=round(report.pictures_per_second, 1),
            ),
            row(f"indexing them again, {again.unchanged:,} unchanged", [1000 * again.seconds], None),
            *warm_rows(library, folder / "pictures", arguments.pictures),
            *cold_rows(folder / "library", folder / "pictures" / sample_scene(SEED).image),
        ]
    for one in rows:
        measured.add(one)


if __name__ == "__main__":
    main()
