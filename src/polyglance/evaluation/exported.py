"""Compares a model with an 8-bit image tower with the original."""

import random
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Final

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from polyglance.data.gallery import gallery_folder
from polyglance.data.images import decode, find_pictures
from polyglance.errors import DataError, PictureError
from polyglance.evaluation.retrieval import retrieve
from polyglance.indexing.reading import batches
from polyglance.models.families.dual_tower import DualTowerModel
from polyglance.models.reading import PICTURES, embed_all, read_texts
from polyglance.scenes.grammar import grammar, grammars
from polyglance.scenes.make import scene_captions
from polyglance.scenes.render import render
from polyglance.scenes.sampling import FIRST_SEED, sample_scene
from polyglance.scenes.truth import SceneIndex
from polyglance.types import StageProgress

SCENES: Final = 1000
"""The number of scenes that both models search in; one point of R@1 is ten captions."""
CALIBRATION: Final = 64
"""The number of scenes that calibrate the ranges of activations, and of the user's own pictures."""
HELD_OUT: Final = 200
"""The most of the user's own pictures that the two models are compared on."""
LEAST_COSINE: Final = 0.95
"""The least acceptable cosine: a random rotation this large changes the cosine with a text by about 0.014 in 512
dimensions."""
MOST_LOST: Final = 1.0
"""The largest acceptable loss in points of R@1."""


@dataclass(frozen=True)
class ExportReport:
    """The comparison of an export with its original.

    language: of the captions. pictures: the number that both read. least_cosine, mean_cosine: between their vectors of
    the same picture. recall: text-to-image R@1 over scenes in percent. ms: the time per picture in milliseconds, the
    median over batches. overflow_fix: whether weights use only half of the 8-bit range, because the processor adds
    products in 16 bits (it has no VNNI).
    """

    name: str
    fingerprint: str
    language: str
    pictures: int
    least_cosine: float
    mean_cosine: float
    recall_original: float
    recall_int8: float
    ms_original: float
    ms_int8: float
    overflow_fix: bool

    @property
    def refusal(self) -> str:
        """The reason not to use the export; empty if it is good."""
        if self.least_cosine >= LEAST_COSINE and self.recall_original - self.recall_int8 <= MOST_LOST:
            return ""
        return (
            f"expected {self.name} in 8-bit integers to give vectors of a cosine of {LEAST_COSINE} or more to the "
            f"original's, and at most {MOST_LOST:g} point of R@1 less, got {self.least_cosine:.3f} at the least, and "
            f"{self.recall_int8:.1f} % for {self.recall_original:.1f} %: nothing was left; use the original"
        )


def compare(
    original: DualTowerModel,
    export: DualTowerModel,
    scenes: int = SCENES,
    own: Sequence[Path] = (),
    report: StageProgress | None = None,
) -> ExportReport:
    """Compares both models, in turns, on the same pictures and on captions that are true of one scene only.

    own: additional pictures without captions; the first `HELD_OUT` are read.
    """
    own = own[:HELD_OUT]
    first = FIRST_SEED["val"]
    index = SceneIndex([sample_scene(first + number) for number in range(scenes)])
    captions = {row: found[0] for row in range(scenes) if (found := scene_captions(index, row, unique=True))}
    language = next(code for code in ("en", *grammars()) if code in original.languages)
    images = chain(_drawn(first, scenes), _decoded(own))
    (before, ms_before), (after, ms_after) = _read((original, export), images, scenes + len(own), report)
    texts = [grammar(language).caption(caption) for caption in captions.values()]
    asked = embed_all(original, read_texts(original, texts, [language] * len(texts)))
    right = torch.tensor([*captions])
    recalls = [round(retrieve(asked, vectors[:scenes], 1)[0].recall(right, 1), 2) for vectors in (before, after)]
    cosines = torch.cosine_similarity(before, after)
    return ExportReport(
        name=export.name,
        fingerprint=export.fingerprint,
        language=language,
        pictures=len(before),
        least_cosine=round(cosines.min().item(), 5),
        mean_cosine=round(cosines.mean().item(), 5),
        recall_original=recalls[0],
        recall_int8=recalls[1],
        ms_original=round(ms_before, 2),
        ms_int8=round(ms_after, 2),
        overflow_fix=export.tower.int8 is not None and export.tower.int8.overflow_fix,
    )


def _read(
    models: Sequence[DualTowerModel], images: Iterable[Image.Image], total: int, report: StageProgress | None
) -> list[tuple[Float[Tensor, "pictures dim"], float]]:
    """Returns, for each model, the vectors of all pictures and the milliseconds per picture."""
    vectors: list[list[Tensor]] = [[] for _ in models]
    times: list[list[float]] = [[] for _ in models]
    done = 0
    for batch in batches(images, PICTURES):
        pictures = [models[0].open(image) for image in batch]
        for model, found, taken in zip(models, vectors, times, strict=True):
            started = perf_counter()
            found.append(model.embed(model.read(pictures)))
            taken.append(1000 * (perf_counter() - started) / len(batch))
        done += len(batch)
        if report:
            report("pictures", done, total, {})
    return [(torch.cat(found), statistics.median(taken)) for found, taken in zip(vectors, times, strict=True)]


def calibration_pictures(own: Sequence[Path]) -> Iterator[Image.Image]:
    """Yields the pictures that calibrate the ranges of activations: scenes that no comparison uses, and some of
    `own`."""
    return chain(_drawn(FIRST_SEED["train"], CALIBRATION), _decoded(own[:CALIBRATION]))


def _drawn(first_seed: int, count: int) -> Iterator[Image.Image]:
    for number in range(count):
        yield render(sample_scene(first_seed + number), gallery_folder())


def parted(folder: Path) -> tuple[list[Path], list[Path]]:
    """Splits the pictures of a folder into halves to calibrate and to compare with, always in the same random way.

    Raises DataError if there is no picture.
    """
    found = [Path(path) for path in find_pictures([folder]).paths]
    if not found:
        raise DataError(f"expected pictures in {folder}, but there is none")
    random.Random(0).shuffle(found)
    return found[::2], found[1::2]


def _decoded(paths: Iterable[Path]) -> Iterator[Image.Image]:
    """Yields the pictures that can be read."""
    for path in paths:
        try:
            yield decode(path)
        except PictureError:
            continue
