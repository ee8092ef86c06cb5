"""Measures what training on a folder of titled clip art is worth to somebody who has one.

    python -m experiments.fine_tuning [--model NAME_OR_FOLDER] [--options OPTIONS] [--output FOLDER]

`polyglance train retrieval` on the training titles of Open Clip Art, with the options that are named; then the held-out
titles, before and after: among the held-out pictures, and among all. `python -m experiments.pictures openclipart`
fetches the pictures first. The rows of other models stay in the file.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from experiments.editions.collections import CLIP_ART, Collection, clip_art
from experiments.editions.measures import read_collection, retrieval_rows
from experiments.pictures.folders import pictures_folder
from experiments.results import Row, add_arguments, begin
from polyglance.models import BUNDLED, load_trainable

NAME = "fine_tuning"
KEYS = ("model", "when", "part", "pool", "system")


def rows_of(model: str, when: str) -> list[Row]:
    """Returns the rows of the held-out titles, among the held-out pictures and among all.

    model: a name or a folder. when: `before` or `after` the training.
    """
    loaded = load_trainable(model)
    found: list[Row] = []
    for collection in (held_out(clip_art()), clip_art()):
        states = read_collection(loaded, collection)
        found += [{"when": when, **row} for row in retrieval_rows(loaded, collection, states, list(collection.queries))]
    return found


def held_out(collection: Collection) -> Collection:
    """Returns only the pictures that are asked about."""
    ((key, queries),) = collection.queries.items()
    rows = sorted({row for row, _ in queries})
    place = {row: number for number, row in enumerate(rows)}
    asked = [(place[row], text) for row, text in queries]
    return replace(collection, pictures=[collection.pictures[row] for row in rows], queries={key: asked})


def trained(model: str, options: Sequence[str], folder: Path) -> tuple[Sequence[str], dict[str, object]]:
    """Runs the command, and returns it with its report. options: of the command. folder: of the trained model."""
    command = ["train", "retrieval", "--data", str(pictures_folder(CLIP_ART) / "captions.jsonl"), "--model", model]
    done = subprocess.run(
        [sys.executable, "-m", "polyglance", *command, *options, "--output", str(folder), "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return ["polyglance", *command[:3], "captions.jsonl", "--model", Path(model).name, *options], json.loads(
        done.stdout
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=BUNDLED)
    parser.add_argument("--options", default="--freeze-lower", help="of the training [default: %(default)s]")
    add_arguments(parser, NAME)
    arguments = parser.parse_args()
    _, results = begin(NAME, arguments, KEYS)
    before = rows_of(arguments.model, "before")
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        command, report = trained(arguments.model, arguments.options.split(), Path(folder) / "model")
        minutes = round((time.time() - began) / 60, 1)
        after = rows_of(str(Path(folder) / "model"), "after")
    common: Row = {
        "model": Path(arguments.model).name,
        "trained": " ".join(command),
        "minutes": minutes,
        "best_epoch": report["best_epoch"],
    }
    results.add(common | row for row in before + after)
    print(f"wrote {results.path}")


if __name__ == "__main__":
    main()
