"""Measures how well calibrated the scores of a search are, and compares drop depths of matches.

    python -m experiments.calibration [--model NAME_OR_FOLDER] [--pictures 2000] [--queries 500] [--output FOLDER]

The queries search a pool of validation scenes, each in one of the model's languages. One half describes scenes of the
pool, with captions that fit no other scene; the other half describes scenes outside the pool, with captions that fit no
scene of the pool. Each of the 20 candidates gives one logit and one label, which judge the calibration that the model
stores; that of the bundled model was fitted to other validation scenes (`FITTED`). The same candidates are matched
again at each drop depth (arXiv:2010.11918), where R@1 is that of the queries whose scene is in the pool.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.results import RESULTS, Row, write_results
from experiments.scenes import CANDIDATES, read_scenes
from experiments.splits import require_disjoint, require_split
from polyglance.evaluation.calibration import calibration_error, reliability
from polyglance.evaluation.retrieval import match, retrieve
from polyglance.models import BUNDLED, load_model
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.reading import embed_all, read_texts
from polyglance.scenes.grammar import grammar
from polyglance.scenes.make import scene_captions
from polyglance.scenes.sampling import FIRST_SEED, sample_scene
from polyglance.scenes.truth import SceneIndex

IMAGES = RESULTS.parent / "images"
FITTED = range(FIRST_SEED["val"], FIRST_SEED["val"] + 100_000)
"""The seeds of the scenes that a calibration may be fitted to (experiments/bundled_model/measuring.py), and on none of
which it is judged."""
LEAST = 0.5
ROUNDS = 50
TEXT = "a red star to the left of a small dog on a white plate"


@dataclass(frozen=True)
class Searches:
    """The candidates of the searches of a pool.

    by_depth: the logits at each drop depth, (depths, queries, candidates). true: whether each candidate is the right
    one, (queries, candidates). present: whether the scene of each query is in the pool, (queries,).
    """

    by_depth: NDArray[np.float64]
    true: NDArray[np.bool_]
    present: NDArray[np.bool_]

    @property
    def logits(self) -> NDArray[np.float64]:
        """The logits with nothing dropped: (queries, candidates)."""
        return self.by_depth[0]


def seeds_of_search(seed: int, pictures: int, queries: int) -> range:
    """Returns the seeds of the scenes of `search_scenes`. A quarter of the queries is spare, as not all scenes have a
    caption that fits no other."""
    return range(seed, seed + pictures + queries + queries // 4)


def search_scenes(model: SingleStreamModel, seed: int, pictures: int, queries: int) -> Searches:
    """Searches a pool of `pictures` scenes, starting at `seed`, with `queries` queries for scenes of the pool and as
    many for later scenes."""
    scenes = [sample_scene(one) for one in seeds_of_search(seed, pictures, queries)]
    index = SceneIndex(scenes)
    captions = {row: found[0] for row in range(len(scenes)) if (found := scene_captions(index, row, unique=True))}
    rows = [row for row in captions if row < pictures][:queries] + [row for row in captions if row >= pictures][
        :queries
    ]
    words = [grammar(model.languages[number % len(model.languages)]) for number in range(len(rows))]
    texts = read_texts(model, [said.caption(captions[row]) for said, row in zip(words, rows, strict=True)])
    states = read_scenes(model, scenes[:pictures])
    found, _ = retrieve(embed_all(model, texts), embed_all(model, states), CANDIDATES)
    depths = range(1 + len(model.joint_layers.layers) if model.task_adapters else 1)
    logits = [match(model, texts, states, found.order, queries_are_text=True, depth=depth) for depth in depths]
    true = found.order == torch.tensor(rows)[:, None]
    return Searches(torch.stack(logits).double().numpy(), true.numpy(), np.array(rows) < pictures)


def judged_row(searches: Searches, line: tuple[float, float]) -> Row:
    """Returns the errors of a calibration and the effect of a minimum score."""
    probabilities = 1 / (1 + np.exp(-(line[0] * searches.logits + line[1])))
    left = probabilities >= LEAST
    return {
        "slope": round(line[0], 4),
        "offset": round(line[1], 4),
        "queries": len(searches.logits),
        "pairs": searches.logits.size,
        "true": int(searches.true.sum()),
        "calibration_error": round(100 * calibration_error(probabilities.ravel(), searches.true.ravel()), 2),
        "absent_found_nothing": _percent(~left[~searches.present].any(axis=1)),
        "present_retrieved": _percent(searches.true[searches.present].any(axis=1)),
        "present_kept": _percent((left & searches.true)[searches.present].any(axis=1)),
        "results_a_present_search": round(float(left[searches.present].sum(axis=1).mean()), 2),
        "bins": [vars(one) for one in reliability(probabilities.ravel(), searches.true.ravel())],
    }


def depth_rows(searches: Searches, line: tuple[float, float], shares: Sequence[float]) -> list[Row]:
    """Returns what a search loses and saves at each depth. line: the calibration. shares: the time at each depth
    relative to depth 0."""
    logits, true, present = searches.by_depth, searches.true, searches.present
    best = logits.argmax(axis=2)
    probabilities = 1 / (1 + np.exp(-(line[0] * logits + line[1])))
    return [
        {
            "depth": depth,
            "queries": int(present.sum()),
            "R@1": _percent(np.take_along_axis(true, best[depth, :, None], axis=1)[present]),
            "same_best": _percent((best[depth] == best[0])[present]),
            "calibration_error": round(100 * calibration_error(probabilities[depth].ravel(), true.ravel()), 2),
            "time": round(100 * share, 1),
        }
        for depth, share in enumerate(shares)
    ]


def time_shares(model: SingleStreamModel, depths: int) -> list[float]:
    """Returns the time of matching 20 candidates at each depth relative to depth 0, the median over `ROUNDS` rounds."""
    text = model.read_text(model.tokenize([TEXT]))[[0] * CANDIDATES]
    states = read_scenes(model, [sample_scene(FIRST_SEED["val"] + number) for number in range(CANDIDATES)])
    taken = np.empty((ROUNDS, depths))
    for turn, depth in np.ndindex(taken.shape):
        started = time.perf_counter()
        model.match(text, states, depth)
        taken[turn, depth] = time.perf_counter() - started
    shares: list[float] = np.median(taken / taken[:, :1], axis=0).tolist()
    return shares


def draw(row: Row, path: Path) -> None:
    """Draws the share of true matches over the probability."""
    figure = Figure(figsize=(5, 4.2), layout="constrained")
    axis = figure.add_subplot()
    axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    bins = row["bins"]
    assert isinstance(bins, list)
    label = f"error {row['calibration_error']} %"
    axis.plot([one["probability"] for one in bins], [one["true"] for one in bins], marker="o", label=label)
    axis.set_xlabel("probability that is said")
    axis.set_ylabel("share that is true")
    axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _percent(flags: NDArray[np.bool_]) -> float:
    return round(100 * float(flags.mean()), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=BUNDLED)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--seed", type=int, default=FITTED.stop)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--images", type=Path, default=IMAGES)
    arguments = parser.parse_args()
    started = time.time()
    judged = seeds_of_search(arguments.seed, arguments.pictures, arguments.queries)
    require_split(judged, "val", "test")
    require_disjoint("scene", {"the fit of the calibration": FITTED, "its judgement": judged})
    model = load_model(arguments.model)
    searches = search_scenes(model, arguments.seed, arguments.pictures, arguments.queries)
    row = judged_row(searches, model.calibration)
    depths = depth_rows(searches, model.calibration, time_shares(model, len(searches.by_depth)))
    path = write_results("calibration", [row, *depths], arguments.seed, started, arguments.output)
    draw(row, arguments.images / "calibration.png")
    for one in (row, *depths):
        print(*(f"{key}={value}" for key, value in one.items() if key != "bins"))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
