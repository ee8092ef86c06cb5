"""Measures Retrieve Fast, Rerank Smart (arXiv:2103.11920) and the cost of stored states, on the scene world.

    python -m experiments.retrieval [--parts splits,systems,states,cuts,times] [--seeds 0,1,2]
                                    [--folder FOLDER] [--fresh] [--small]

A twin encoder, a cross-encoder and models that are both are trained from the same starting point. Each figure is a row
of docs/results/retrieval.json, written as soon as it is measured: a run that was stopped continues with the missing
rows. A run that begins from another model than the rows before it is refused; `--fresh` measures everything anew.
`splits` counts test texts that are also training captions, and trains nothing. `times` should run on an otherwise idle
machine.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache

from experiments.results import Results, Row, add_arguments, begin, images_of, open_folder, report
from experiments.retrieval.libraries import library_rows
from experiments.retrieval.plots import draw
from experiments.retrieval.settings import SMALL, Settings
from experiments.retrieval.states import (
    CUTS,
    DEFAULT,
    EVERYTHING,
    WAYS,
    Storage,
    all_pairs_row,
    state_rows,
    state_time_rows,
)
from experiments.retrieval.systems import Reading, cooperative_rows, cross_rows, time_rows, twin_rows
from experiments.retrieval.tables import tables
from experiments.retrieval.training import Training, bundled, trained
from experiments.retrieval.world import World, make_world, split_rows
from polyglance.errors import ConfigurationError, PolyglanceError

NAME = "retrieval"
KEYS = ("part", "system", "name", "bits", "direction", "seed", "pool", "pictures", "candidates", "blend")
SPLITS = "splits"
PARTS = (SPLITS, "systems", "states", "cuts", "times")


def run_systems(world: World, seed: int, results: Results) -> None:
    """Measures the systems that have no rows of the seed, and trains only what these need."""

    @cache
    def reading(training: Training) -> Reading:
        return Reading.of(trained(world, training, seed, report), world, report)

    def twin(training: Training) -> Callable[[str], Iterator[Row]]:
        return lambda system: twin_rows(system, reading(training), world, seed)

    def coop(retrieving: Training, reranking: Training) -> Callable[[str], Iterator[Row]]:
        return lambda system: cooperative_rows(system, reading(retrieving), reading(reranking), world, seed)

    systems = {
        "twin": twin("twin"),
        "joint twin": twin("joint"),
        "joint twin, random negatives": twin("joint-random"),
        "cross": lambda system: cross_rows(system, reading("cross"), world, seed),
        "separate coop": coop("twin", "cross"),
        "joint coop": coop("joint", "joint"),
        "joint coop, random negatives": coop("joint-random", "joint-random"),
    }
    for system, measure in systems.items():
        if not results.has(part="systems", system=system, seed=seed):
            results.add(begun_from(world, measure(system)))


def run_states(world: World, ways: Sequence[Storage], results: Results) -> None:
    for storage in ways:
        if not results.has(part="states", name=storage.name):
            results.add(begun_from(world, state_rows(storage, world, report)))


def run_times(world: World, results: Results) -> None:
    """Times the ways of storing that have rows already."""
    joint = Reading.of(trained(world, "joint", 0, report), world, report)
    results.replace("times", begun_from(world, time_rows(joint, world)))
    results.replace("libraries", begun_from(world, library_rows(joint, world)))
    ways = [storage for storage in (*WAYS, *CUTS) if results.has(part="states", name=storage.name)]
    results.replace("state_times", begun_from(world, state_time_rows(ways, world, report)))


def begun_from(world: World, rows: Iterable[Row]) -> list[Row]:
    """Returns the rows with the fingerprint of the model that their trainings began from."""
    return [{**row, "body": world.settings.body} for row in rows]


def refuse_another_body(results: Results, body: str) -> None:
    """Raises ConfigurationError if the file holds rows of trainings that began from another model."""
    if any(row["part"] != SPLITS and row.get("body") != body for row in results.rows):
        raise ConfigurationError(
            f"expected rows that began from the present edition of the bundled model, but {results.path} holds rows of "
            "another one: measure everything anew with --fresh"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--seeds", default="0,1,2")
    add_arguments(parser, NAME)
    arguments = parser.parse_args()
    settings = replace(SMALL if arguments.small else Settings(), body=bundled().fingerprint)
    parts = arguments.parts.split(",")
    folder, results = begin(NAME, arguments, KEYS)
    try:
        if set(parts) - {SPLITS}:
            refuse_another_body(results, settings.body)
        open_folder(folder, settings)
        world = make_world(settings, folder)
    except PolyglanceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if SPLITS in parts:
        results.replace(SPLITS, list(split_rows(world)))
    if "systems" in parts:
        for seed in map(int, arguments.seeds.split(",")):
            run_systems(world, seed, results)
    if "states" in parts:
        run_states(world, WAYS, results)
        for storage in (DEFAULT, EVERYTHING):
            if not results.has(part="all_pairs", name=storage.name):
                results.add(begun_from(world, [all_pairs_row(storage, world, report)]))
    if "cuts" in parts:
        run_states(world, CUTS, results)
    if "times" in parts:
        run_times(world, results)
    print(tables(results.rows))
    draw(results.rows, images_of(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
