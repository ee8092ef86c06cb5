"""The pictures, captions and queries of the experiment. Each picture is drawn once and read once below the cut."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image
from torch import Tensor

from experiments.pretraining.drawn_pictures import draw_scenes
from experiments.results import Row
from experiments.retrieval.settings import Settings
from experiments.splits import require_disjoint, require_split
from polyglance import atomic
from polyglance.data.captions import Caption
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.protocol import ImageBatch
from polyglance.nn.encoder import Encoder
from polyglance.scenes import meaning as m
from polyglance.scenes.captions import sample_caption, sample_unique_caption
from polyglance.scenes.grammar import grammar
from polyglance.scenes.make import names_unseen_pair
from polyglance.scenes.sampling import FIRST_SEED, Scene, sample_scene
from polyglance.scenes.truth import SceneIndex
from polyglance.training.frozen_pictures import fingerprint_of_sight
from polyglance.training.state_cache import KeptStates, keep_states
from polyglance.types import StageProgress

FRAGMENTS = (2, 3)
"""The number of fragments in each of the two captions of a training picture."""
TRIES = 40


@dataclass(frozen=True, eq=False)
class World:
    """The pictures and texts of the experiment.

    captions: the English captions of the training pictures. texts: captions of test pictures, at most one each; the
    queries come first, each true of one test picture only, and no other text is true of a picture of a query. asked:
    the picture of each query. unseen: whether each query names a (kind, colour) pair that training never showed.
    """

    settings: Settings
    folder: Path
    captions: tuple[Caption, ...]
    texts: tuple[str, ...]
    asked: tuple[int, ...]
    unseen: tuple[bool, ...]

    def pixels(self, split: str) -> Tensor:
        """Maps the pictures of a split from a file: (pictures, 3, 256, 256), uint8."""
        count = self.settings.scenes if split == "train" else self.settings.pools[-1]
        first = FIRST_SEED[split]
        return draw_scenes(range(first, first + count), self.folder / f"{split}.npy")

    def drawn_captions(self) -> tuple[Caption, ...]:
        """Returns the captions of the first `sweep_scenes` training pictures, which are written to files to be read in
        each step."""
        folder = self.folder / "pictures"
        folder.mkdir(exist_ok=True)
        there = {_name(row): folder / _name(row) for row in range(self.settings.sweep_scenes)}
        for pixels, path in zip(self.pixels("train"), there.values(), strict=False):
            if not path.exists():
                Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path)
        return tuple(
            replace(caption, image=there[caption.image], also=tuple(there[one] for one in caption.also if one in there))
            for caption in self.captions
            if caption.image in there
        )

    def seen(self, split: str, model: SingleStreamModel, report: StageProgress) -> KeptStates:
        """Returns what a model's lower layers compute for the pictures, once for all models that share these layers."""
        return keep_states(_Drawn(model, self.pixels(split)), folder=self.folder / split, report=report)


@dataclass(frozen=True, eq=False)
class _Drawn:
    """The `Inputs` of drawn pictures."""

    model: SingleStreamModel
    pixels: UInt8[Tensor, "pictures 3 height width"]

    @property
    def encoder(self) -> Encoder:
        return self.model.joint_layers

    @property
    def fingerprint(self) -> str:
        return fingerprint_of_sight(self.model)

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """The first picture and the number of pictures, which identify the pictures that the folder belongs to."""
        return {"first": self.pixels[:1], "pictures": torch.tensor(len(self.pixels))}

    def __len__(self) -> int:
        return len(self.pixels)

    def embed(
        self, rows: Int[Tensor, " rows"]
    ) -> tuple[Float[Tensor, "rows tokens width"], Bool[Tensor, "rows tokens"]]:
        seen = self.model.see(ImageBatch(self.pixels[rows]))
        return seen, torch.ones(seen.shape[:2], dtype=torch.bool)


def make_world(settings: Settings, folder: Path) -> World:
    """Reads the world from `folder/captions.json`, which is written first if it is missing.

    Raises DataError if a picture is in both splits, or if a query is also a training caption.
    """
    train = [sample_scene(FIRST_SEED["train"] + i) for i in range(settings.scenes)]
    test = [sample_scene(FIRST_SEED["test"] + i) for i in range(settings.pools[-1])]
    require_apart(train, test)
    path = folder / "captions.json"
    if not path.exists():
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            captions = pool.submit(_training_captions, train)
            queries = pool.submit(_queries, test, settings.queries)
            document = {"captions": captions.result(), **queries.result()}
        atomic.write_text(path, json.dumps(document))
    kept = json.loads(path.read_text(encoding="utf-8"))
    captions = tuple(
        Caption(_name(row), text, also=tuple(_name(other) for other in also if other != row))
        for row, text, also in kept["captions"]
    )
    world = World(settings, folder, captions, *(tuple(kept[name]) for name in ("texts", "asked", "unseen")))
    require_new_queries(world)
    return world


def require_apart(train: Sequence[Scene], test: Sequence[Scene]) -> None:
    """Raises DataError if a scene has a seed of the other split, or if the two splits have a scene in common.

    Two scenes are the same if they differ in nothing but their seed.
    """
    require_split((scene.seed for scene in train), "train")
    require_split((scene.seed for scene in test), "test")
    scenes = {"train": train, "test": test}
    require_disjoint("scene", {name: ((one.background, one.things) for one in some) for name, some in scenes.items()})


def require_new_queries(world: World) -> None:
    """Raises DataError if a query stands word for word among the training captions."""
    queries = world.texts[: len(world.asked)]
    captions = (caption.caption for caption in world.captions)
    require_disjoint("text", {"the training captions": captions, "the queries": queries})


def split_rows(world: World) -> Iterator[Row]:
    """Counts for each pool how many queries, and how many texts in all, stand word for word among the training
    captions."""
    known = {caption.caption for caption in world.captions}
    queries = world.texts[: len(world.asked)]
    for size in world.settings.pools:
        texts = world.texts[:size]
        yield {
            "part": "splits",
            "pool": size,
            "queries": len(queries),
            "queries_in_training": sum(text in known for text in queries),
            "texts": len(texts),
            "texts_in_training": sum(text in known for text in texts),
        }


def _name(row: int) -> Path:
    """Returns the name of a training picture, which is never opened because its states are kept."""
    return Path(f"{row}.png")


def _training_captions(scenes: Sequence[Scene]) -> list[tuple[int, str, list[int]]]:
    """Returns (row of the picture, text, rows of all pictures for which it is true or arguable) for each caption."""
    index, english = SceneIndex(scenes), grammar("en")
    captions = []
    for row, scene in enumerate(scenes):
        rng = random.Random(f"retrieval {scene.seed}")
        for fragments in FRAGMENTS:
            caption = sample_caption(scene, rng, fragments)
            true, arguable = index.find(caption)
            captions.append((row, english.caption(caption), sorted(true + arguable)))
    return captions


def _queries(scenes: Sequence[Scene], count: int) -> dict[str, list[object]]:
    everywhere, among_asked, english = SceneIndex(scenes), SceneIndex(scenes[:count]), grammar("en")
    found = dict(_unique(everywhere, count))
    others = [_of_none(scene, among_asked) for scene in scenes[count:]]
    captions = [*found.values(), *(caption for caption in others if caption)]
    return {
        "texts": [english.caption(caption) for caption in captions],
        "asked": list(found),
        "unseen": [names_unseen_pair(scenes[row], caption) for row, caption in found.items()],
    }


def _unique(index: SceneIndex, count: int) -> Iterator[tuple[int, m.Caption]]:
    for row in range(count):
        caption = sample_unique_caption(index, row, random.Random(f"captions {index.scenes[row].seed}"))
        if caption:
            yield row, caption


def _of_none(scene: Scene, index: SceneIndex) -> m.Caption | None:
    """Returns a caption of the scene that fits no scene of the index, or None if none was found."""
    rng = random.Random(f"captions {scene.seed}")
    for attempt in range(TRIES):
        caption = sample_caption(scene, rng, fragments=min(3, 1 + attempt // 10))
        if index.find(caption) == ([], []):
            return caption
    return None
