"""Measures visual questions in languages that a model was not trained in (xGQA, arXiv:2109.06082), on the scene world.

    python -m experiments.xgqa [--split dev|test] [--parts zero,few,ninth] [--seeds 0] [--languages de,ko]
                               [--ways adapters,translations] [--shots 1,48] [--folder FOLDER] [--fresh] [--small]

On the development pictures only the part `zero` is measured unless others are named.

A body and its task are trained on pictures and English questions. Each way adds a language to it, from sentences in
that language and, in our ways, from a few hundred translations. The same questions are then asked in the new language.
Choices are made on the development pictures; on the test pictures only the paper's ways and the chosen ones (`CHOSEN`)
are measured. Each figure is a row of docs/results/xgqa.json, written as soon as it is measured: a run that was stopped
continues with the missing rows.
"""

import argparse
from copy import deepcopy
from typing import Final

from experiments.results import Results, Row, add_arguments, begin, images_of, open_folder, report
from experiments.xgqa.bodies import World
from experiments.xgqa.corpora import FIRST_PICTURE, SOURCE_LANGUAGE, TARGETS, Split
from experiments.xgqa.few_shot import Shots, few_shot
from experiments.xgqa.measures import answers, recall
from experiments.xgqa.ninth import ninth_rows
from experiments.xgqa.plots import draw
from experiments.xgqa.settings import SMALL, Settings
from experiments.xgqa.tables import of_split, tables
from experiments.xgqa.ways import CHOSEN, PAPER, WAYS, Bodies, Way, learned
from polyglance.errors import ConfigurationError
from polyglance.models.families.single_stream import SingleStreamModel

NAME = "xgqa"
KEYS = ("part", "way", "body", "language", "shots", "seed", "split")
PARTS: Final[dict[Split, tuple[str, ...]]] = {"dev": ("zero",), "test": ("zero", "few", "ninth")}
"""What is measured on the pictures of a split unless parts are named. Ways are chosen without few-shot training."""


def run_body(bodies: Bodies, way: Way, results: Results) -> None:
    """Measures the body of a way in English."""
    named = {"part": "body", "body": way.body, "language": SOURCE_LANGUAGE, **_where(bodies.world)}
    if not results.has(**named):
        results.add([{**named, **_measured(bodies, way, bodies.of(way), SOURCE_LANGUAGE)}])


def run_zero(bodies: Bodies, way: Way, code: str, results: Results) -> None:
    """Measures a way without any training question in the language."""
    named = {"part": "zero", "way": way.name, "body": way.body, "language": code, **_where(bodies.world)}
    if not results.has(**named):
        model, scores = deepcopy(bodies.of(way)), Row()
        if way.learns:
            language, learning, size = learned(bodies, way, code)
            model.add_language(language)
            scores = {**learning, "bytes": size}
        results.add([{**named, **scores, **_measured(bodies, way, model, code)}])


def _measured(bodies: Bodies, way: Way, model: SingleStreamModel, code: str) -> Row:
    return {**answers(model, bodies.world, code), **recall(model, bodies.world, code, matches=way.matches)}


def run_few(bodies: Bodies, way: Way, code: str, shots: int, examples: Shots, results: Results) -> None:
    world = bodies.world
    named = {"part": "few", "way": way.name, "language": code, "shots": shots, **_where(world)}
    if not results.has(**named):
        model = few_shot(bodies, way, code, shots, examples, world.seed)
        results.add([{**named, **answers(model, world, code, with_controls=False)}])


def _where(world: World) -> Row:
    return {"seed": world.seed, "split": world.split}


def ways_of(split: str, names: str) -> list[Way]:
    """Returns the ways by their names, separated by commas; by default all that may be measured on the split.

    Raises ConfigurationError if there is no such way, or it was not chosen and would be measured on the test pictures.
    """
    allowed = {way.name: way for way in WAYS if split == "dev" or way in PAPER or way.name in CHOSEN}
    asked = names.split(",") if names else list(allowed)
    if wrong := [name for name in asked if name not in allowed]:
        raise ConfigurationError(
            f"expected ways among {', '.join(allowed)} on {split} pictures, not {', '.join(wrong)}"
        )
    return [way for name, way in allowed.items() if name in asked]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=FIRST_PICTURE, default="dev")
    parser.add_argument("--parts", default="")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--languages", default=",".join(TARGETS))
    parser.add_argument("--ways", default="")
    parser.add_argument("--shots", default="")
    add_arguments(parser, NAME)
    arguments = parser.parse_args()
    settings = SMALL if arguments.small else Settings()
    parts = arguments.parts.split(",") if arguments.parts else PARTS[arguments.split]
    codes = arguments.languages.split(",")
    shots = [int(one) for one in arguments.shots.split(",")] if arguments.shots else settings.shots
    ways = ways_of(arguments.split, arguments.ways)
    folder, results = begin(NAME, arguments, KEYS)
    open_folder(folder, settings)
    for seed in map(int, arguments.seeds.split(",")):
        bodies = Bodies(World(settings, folder, report, seed, arguments.split))
        if "zero" in parts:
            for way in ways:
                run_body(bodies, way, results)
                for code in codes:
                    run_zero(bodies, way, code, results)
        if "few" in parts:
            examples = Shots(bodies.world)
            for way in ways:
                for code in codes:
                    for count in shots:
                        run_few(bodies, way, code, count, examples, results)
        if "ninth" in parts and not results.has(part="ninth", seed=seed, split=arguments.split):
            results.add(ninth_rows(bodies.world))
    print(tables(results.rows))
    draw(of_split(results.rows, "test"), images_of(results))


if __name__ == "__main__":
    main()
