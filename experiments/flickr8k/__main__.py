"""Measures Retrieve Fast, Rerank Smart (arXiv:2103.11920) on the photographs of Flickr8k.

    python -m experiments.flickr8k [--parts twin,systems,pairs,depths,states,languages,judgements,times]
                                   [--seeds 0,1,2] [--split test] [--folder FOLDER] [--fresh] [--small]

EfficientNet-Lite2 and MiniLM or multilingual E5, which were trained apart and stay as they are, are brought together on
the 6,000 training photographs: as twin encoder, as cross-encoder, and as both. Choices were made on the validation
split (`--split val`). Each figure is a row of docs/results/flickr8k.json, written as soon as it is measured: a run that
was stopped continues with the missing rows. `times` should run on an otherwise idle machine.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from experiments.flickr8k.measures import (
    CANDIDATES,
    Reading,
    coop_rows,
    depth_rows,
    judgement_row,
    pair_rows,
    state_rows,
    time_row,
    twin_row,
)
from experiments.flickr8k.photographs import LANGUAGES, Judgement, read_judgements, read_photographs
from experiments.flickr8k.settings import SMALL, Settings
from experiments.flickr8k.tables import tables
from experiments.flickr8k.training import CROSS, JOINT, TWIN, World
from experiments.results import Results, Row, add_arguments, begin, open_folder, report
from polyglance.data.lines import Split
from polyglance.evaluation.pools import Pool

NAME = "flickr8k"
KEYS = (
    *("part", "texts", "trained_on", "system", "seed", "split", "language"),
    *("candidates", "blend", "depth", "tokens", "bits"),
)
PARTS = ("twin", "systems", "pairs", "depths", "states", "languages", "judgements", "times")
COOPERATIVE = {
    "joint coop": (JOINT, JOINT),
    "separate coop": (TWIN, CROSS),
}
"""Who retrieves and who reranks."""


class Run:
    """The rows of one world and seed. Models are trained, and photographs read once, when a row is missing."""

    def __init__(self, world: World, seed: int, split: Split, results: Results) -> None:
        self.world, self.seed, self.split, self.results = world, seed, split, results
        self._readings: dict[tuple[str, str, bool], Reading] = {}

    def twin(self, part: str, language: str = "en") -> None:
        if head := self._missing(part, TWIN, language):
            self._add(head, [twin_row(self._reading(TWIN, language))])

    def systems(self, part: str, language: str, cooperative: Mapping[str, tuple[str, str]]) -> None:
        """Measures the twin encoder, and systems that retrieve with the one and rerank with the other model."""
        self.twin(part, language)
        for name, (retriever, reranker) in cooperative.items():
            if head := self._missing(part, name, language):
                twin, cross = self._reading(retriever, language), self._reading(reranker, language)
                self._add(head, coop_rows(twin, cross, self.world.settings))

    def pairs(self) -> None:
        """Matches some queries with everything; the same queries are then only reranked."""
        for system in (CROSS, JOINT):
            if head := self._missing("pairs", f"{system}, all pairs"):
                self._add(head, pair_rows(self._reading(system), self.world.settings))

    def depths(self) -> None:
        if head := self._missing("depths", "joint coop"):
            self._add(head, depth_rows(self._reading(JOINT), self.world.settings))

    def states(self) -> None:
        if head := self._missing("states", "joint coop", tokens=self.world.grid**2):
            self._add(head, state_rows(self._reading(JOINT, as_stored=False), self.world.settings))

    def judgements(self, judgements: Sequence[Judgement]) -> None:
        photographs = self.world.photographs.images("test")
        pool = Pool("en", tuple(one.caption for one in judgements), photographs, ())
        for system in (TWIN, JOINT):
            if head := self._missing("judgements", system):
                self._add(head, [judgement_row(self._read(system, pool), judgements)])

    def times(self) -> None:
        if head := self._missing("times", "joint coop"):
            self._add(head, [time_row(self._reading(JOINT))])

    def _missing(self, part: str, system: str, language: str = "en", **more: object) -> Row | None:
        """Returns what the rows have in common, or None if they are there."""
        head: Row = {
            "part": part,
            "texts": self.world.texts,
            "trained_on": ",".join(self.world.languages),
            "system": system,
            "seed": self.seed,
            "split": self.split,
            "language": language,
            **more,
        }
        return None if self.results.has(**head) else head

    def _add(self, head: Row, rows: Iterable[Row]) -> None:
        self.results.add([{**head, **row} for row in rows])

    def _reading(self, system: str, language: str = "en", as_stored: bool = True) -> Reading:
        key = system, language, as_stored
        if key not in self._readings:
            self._readings[key] = self._read(system, self.world.photographs.pool(self.split, language), as_stored)
        return self._readings[key]

    def _read(self, system: str, pool: Pool, as_stored: bool = True) -> Reading:
        return self.world.reading(self.world.trained(system, self.seed), pool, self.split, as_stored)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--split", choices=("val", "test"), default="test")
    add_arguments(parser, NAME)
    arguments = parser.parse_args()
    settings = SMALL if arguments.small else Settings()
    parts, split = arguments.parts.split(","), arguments.split
    folder, results = begin(NAME, arguments, KEYS)
    open_folder(folder, settings)
    english = World(settings, folder, read_photographs(few=settings.photographs), report)
    for seed in map(int, arguments.seeds.split(",")):
        run = Run(english, seed, split, results)
        if "twin" in parts:
            run.twin("systems")
        if "systems" in parts:
            run.systems("systems", "en", COOPERATIVE)
        if "pairs" in parts:
            run.pairs()
        if "depths" in parts:
            run.depths()
        if "judgements" in parts and split == "test":
            run.judgements(read_judgements(english.photographs.images("test")))
        if "languages" in parts:
            for languages in (("en",), LANGUAGES):
                few = replace(settings, candidates=(CANDIDATES,), blends=())
                world = replace(english, texts="e5", languages=languages, settings=few)
                every = Run(world, seed, split, results)
                for code in LANGUAGES:
                    if english.photographs.of(split, [code]):
                        every.systems("languages", code, {"joint coop": COOPERATIVE["joint coop"]})
    first = int(arguments.seeds.split(",")[0])
    if "states" in parts:
        for grid in settings.grids:
            Run(replace(english, grid=grid), first, split, results).states()
    if "times" in parts:
        Run(english, first, split, results).times()
    print(tables(results.rows))


if __name__ == "__main__":
    main()
