"""Measures Retrieve Fast, Rerank Smart (arXiv:2103.11920) and the cost of stored states, on the scene world.

    python -m experiments.retrieval [--parts systems,states,cuts,times] [--seeds 0,1,2]
                                    [--folder FOLDER] [--fresh] [--small]

A twin encoder, a cross-encoder and a model that is both are trained from the same starting point. Each figure is a row
of docs/results/retrieval.json, written as soon as it is measured: a run that was stopped continues with the missing
rows. `times` should run on an otherwise idle machine.
"""

import argparse
from collections.abc import Sequence

from experiments.results import Results, add_arguments, begin, images_of, open_folder, report
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
from experiments.retrieval.training import trained
from experiments.retrieval.world import World, make_world

NAME = "retrieval"
KEYS = ("part", "system", "name", "bits", "direction", "seed", "pool", "pictures", "candidates", "blend")
PARTS = ("systems", "states", "cuts", "times")


def run_systems(world: World, seed: int, results: Results) -> None:
    if results.has(part="systems", system="joint coop", seed=seed):
        return
    twin = Reading.of(trained(world, "twin", seed, report), world, report)
    joint = Reading.of(trained(world, "joint", seed, report), world, report)
    cross = Reading.of(trained(world, "cross", seed, report), world, report)
    rows = [
        *twin_rows("twin", twin, world, seed),
        *twin_rows("joint twin", joint, world, seed),
        *cross_rows("cross", cross, world, seed),
        *cooperative_rows("separate coop", twin, cross, world, seed),
        *cooperative_rows("joint coop", joint, joint, world, seed),
    ]
    results.add(rows)


def run_states(world: World, ways: Sequence[Storage], results: Results) -> None:
    for storage in ways:
        if not results.has(part="states", name=storage.name):
            results.add(list(state_rows(storage, world, report)))


def run_times(world: World, results: Results) -> None:
    """Times the ways of storing that have rows already."""
    joint = Reading.of(trained(world, "joint", 0, report), world, report)
    results.replace("times", list(time_rows(joint, world)))
    results.replace("libraries", list(library_rows(joint, world)))
    ways = [storage for storage in (*WAYS, *CUTS) if results.has(part="states", name=storage.name)]
    results.replace("state_times", list(state_time_rows(ways, world, report)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--seeds", default="0,1,2")
    add_arguments(parser, NAME)
    arguments = parser.parse_args()
    settings = SMALL if arguments.small else Settings()
    parts = arguments.parts.split(",")
    folder, results = begin(NAME, arguments, KEYS)
    open_folder(folder, settings)
    world = make_world(settings, folder)
    if "systems" in parts:
        for seed in map(int, arguments.seeds.split(",")):
            run_systems(world, seed, results)
    if "states" in parts:
        run_states(world, WAYS, results)
        for storage in (DEFAULT, EVERYTHING):
            if not results.has(part="all_pairs", name=storage.name):
                results.add([all_pairs_row(storage, world, report)])
    if "cuts" in parts:
        run_states(world, CUTS, results)
    if "times" in parts:
        run_times(world, results)
    print(tables(results.rows))
    draw(results.rows, images_of(results))


if __name__ == "__main__":
    main()
