"""Measures an edition of the bundled model, or any other joint model, on pictures and words that people made.

    python -m experiments.editions [--model NAME_OR_FOLDER] [--parts flickr8k,scenes] [--fresh] [--small]
                                   [--output FOLDER]

Text to image: photographs of Flickr8k's test split by their captions; emoji of two other artists by their names; the
bundled emoji by names that a training met, by names that none met, and by keywords; Open Clip Art by titles held out
from training. One question about each picture: does the model say that it does not know it? Then all figures of
experiments/scenes.py. `python -m experiments.pictures` fetches the pictures first.

Each figure is a row of editions.json, written as soon as it is there: a stopped run goes on with the rows that are
missing of the same weights.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from experiments.editions.collections import COLLECTIONS, Collection
from experiments.editions.measures import read_collection, retrieval_rows, unknown_row
from experiments.emoji import read_gallery
from experiments.results import Results, Row, add_arguments, begin
from experiments.scenes import answer_rows, read_scenes
from experiments.scenes import retrieval_rows as scene_rows
from experiments.splits import require_split
from polyglance.answering.words import UNKNOWN
from polyglance.errors import PolyglanceError
from polyglance.languages import DEMO_LANGUAGES
from polyglance.models import BUNDLED, load_trainable
from polyglance.models.families.cut_model import CutModel
from polyglance.scenes.sampling import FIRST_SEED, sample_scene

NAME = "editions"
KEYS = ("model", "part", "kind", "language", "system", "unknown", "template")
SCENES = "scenes"
PARTS = (*COLLECTIONS, SCENES)
FEW = 24
"""The number of pictures and queries of each kind in a small run."""


def measure(
    model: CutModel,
    results: Results,
    collections: Mapping[str, Callable[[], Collection]],
    scenes: bool = True,
    few: int | None = None,
) -> None:
    """Adds the rows that are missing of this model. Those of other weights of its name are left out from now on.

    collections: by their names; the pictures of those without a missing row are not read. scenes: whether to measure
    scenes, too. few: the number of pictures and queries of each kind; None means all.
    """
    of_model: Row = {"model": model.name, "fingerprint": model.fingerprint}
    results.rows = [row for row in results.rows if row["model"] != model.name or of_model.items() <= row.items()]
    for name, collect in collections.items():
        collection = collect().first(few) if few else collect()
        missing = [
            (kind, code)
            for kind, code in collection.queries
            if not results.has(part=name, kind=kind, language=code, **of_model)
        ]
        asks = UNKNOWN in model.answers and not results.has(part=name, system="answer", **of_model)
        if missing or asks:
            print(f"{name}: reading {len(collection.pictures):,} pictures", file=sys.stderr)
            states = read_collection(model, collection)
            if asks:
                results.add([of_model | unknown_row(model, name, states)])
            for key in missing:
                results.add([of_model | row for row in retrieval_rows(model, collection, states, [key])])
    missing_scenes = [
        code for code in DEMO_LANGUAGES if not results.has(part=SCENES, language=code, system="twin", **of_model)
    ]
    if scenes and missing_scenes:
        for rows in all_scene_rows(model, missing_scenes, few or 1000):
            results.add([of_model | {"part": SCENES} | row for row in rows])


def all_scene_rows(model: CutModel, languages: Sequence[str], pictures: int) -> Iterator[list[Row]]:
    """Yields the rows of each language, on scenes of the test range."""
    seeds = range(FIRST_SEED["test"], FIRST_SEED["test"] + pictures)
    require_split(seeds, "test")
    print(f"{SCENES}: reading {pictures:,} pictures", file=sys.stderr)
    scenes = [sample_scene(seed) for seed in seeds]
    states, emoji = read_scenes(model, scenes), read_gallery(model)
    if UNKNOWN in model.answers and "en" in languages:
        yield [unknown_row(model, SCENES, states)]
    for code in languages:
        answers = answer_rows(model, scenes, states, [code]) if "answer" in model.tasks else []
        yield scene_rows(model, scenes, states, emoji, [code]) + answers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=BUNDLED)
    parser.add_argument("--parts", default=",".join(PARTS), help="[default: %(default)s]")
    add_arguments(parser, NAME)
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"expected parts of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    try:
        model = load_trainable(arguments.model)
        _, results = begin(NAME, arguments, KEYS)
        chosen = {part: collect for part, collect in COLLECTIONS.items() if part in parts}
        measure(model, results, chosen, SCENES in parts, FEW if arguments.small else None)
    except PolyglanceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {results.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
