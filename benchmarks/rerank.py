"""Compares reranking 20 pictures from stored states with the same body from pixels and with other models.

    make bench-rerank
    python -m benchmarks.rerank [--repeats 7] [--only TEXT] [--small]

All weights except those of the bundled model are random: this is a test of speed. Each side scores the same 20 pictures
for one text of 16 tokens (for the bundled model, a caption) in one batch. Pictures are decoded and scaled before the
timing. Ours reads the text, loads the pictures' states from a library of 2,000 pictures on disk, unpacks them and runs
the joint layers. Both sides are timed in turns, with the same dtype and threads. ratio: theirs / ours, of medians.
Before the timing our scores are compared with those from unrounded states (max_abs_diff of the logits, correlation).
"""

import argparse
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.adapters import Peer, milliseconds
from experiments.results import RESULTS, Measurements, Row
from polyglance.data.gallery import gallery_folder
from polyglance.data.tokenization import Tokenizer
from polyglance.kernels.processor import native_dtype
from polyglance.models import BUNDLED, bundled_folder
from polyglance.models.checkpoint import load_folder
from polyglance.models.families.single_stream import SingleStreamConfig, SingleStreamModel
from polyglance.models.protocol import ImageBatch, TextBatch
from polyglance.nn.encoder import Encoder
from polyglance.nn.layer import NormPlacement
from polyglance.nn.states import TokenStates
from polyglance.nn.vision import ConvStem
from polyglance.scenes.grammar import grammar
from polyglance.scenes.make import scene_captions
from polyglance.scenes.render import render
from polyglance.scenes.sampling import FIRST_SEED, sample_scene
from polyglance.scenes.truth import SceneIndex
from polyglance.store.lance import LanceDatabase
from polyglance.store.protocols import ReaderFacts

SEED = FIRST_SEED["test"] + 800_000
CANDIDATES, TEXT_TOKENS, VOCABULARY = 20, 16, 30_522
CPU = torch.device("cpu")
CORRELATION = {"float32": 0.999, "bfloat16": 0.95}
"""The lowest correlation allowed between scores from stored states and from unrounded ones."""

BLOCK_MS = 300
"""The milliseconds for which a short side runs at a time."""

BF16, BOTH = ("bfloat16",), ("bfloat16", "float32")


@dataclass(frozen=True)
class Shape:
    """The shape of a stack of layers."""

    layers: int
    width: int
    heads: int
    feed_forward: int


@dataclass(frozen=True)
class Setting:
    """The size of a run. body: the shape of our body and of the full cross-encoder. edje: EDJE's shape. image_size: the
    side of a picture in pixels. peers_image_size: the same for the models of transformers. library: the number of
    pictures in it."""

    body: Shape
    edje: Shape
    stem: tuple[int, ...]
    image_size: int
    peers_image_size: int
    library: int


BASE = Setting(Shape(12, 768, 12, 3072), Shape(12, 384, 12, 1536), (64, 128, 768), 224, 384, 2000)
SMALL = Setting(Shape(12, 48, 4, 96), Shape(2, 24, 4, 48), (8, 8, 48), 112, 64, 40)


@dataclass(frozen=True)
class Stored:
    """What our body of base size stores of a picture, and its first joint layer."""

    first_joint_layer: int
    kept_grid: int
    state_width: int

    @property
    def title(self) -> str:
        tokens = self.kept_grid**2
        return f"{12 - self.first_joint_layer} of 12 layers joint, {tokens} x {self.state_width} stored"


CHOSEN = Stored(9, 4, 768)
PIXELS = "the same body from pixels"
EDJE = "EDJE's shape"
BLIP, BLIP_JOINT, VILT = "BLIP from pixels", "BLIP's joint part", "ViLT from pixels"
TRANSFORMERS = {BLIP: "blip", BLIP_JOINT: "blip_joint", VILT: "vilt"}
EDJE_TOKENS = 64


@dataclass(frozen=True)
class Case:
    """A row of the table.

    ours: what our body stores; None for the bundled model. required: the lowest ratio. most_bytes: the limit of our
    bytes per picture.
    """

    ours: Stored | None
    peer: str
    dtypes: tuple[str, ...] = BF16
    required: float | None = None
    most_bytes: int = 16_384

    @property
    def title(self) -> str:
        return f"{self.ours.title if self.ours else BUNDLED}; against {self.peer}"


CASES = (
    Case(Stored(6, 4, 768), PIXELS, BOTH),
    Case(Stored(8, 4, 768), PIXELS, BOTH),
    Case(CHOSEN, PIXELS, BOTH, 12),
    Case(Stored(10, 4, 768), PIXELS, BOTH),
    *(Case(Stored(9, grid, width), PIXELS) for grid, width in ((4, 256), (5, 640), (7, 320))),
    Case(CHOSEN, BLIP, required=100),
    Case(CHOSEN, BLIP_JOINT),
    Case(CHOSEN, VILT, required=12),
    Case(CHOSEN, EDJE),
    Case(None, PIXELS, BOTH, most_bytes=4096),
)


class JointEncoder(nn.Module):
    """A cross-encoder without stored states: text and picture attend to each other in all layers, and the score is read
    at a token in front of them. images: computes the tokens of pictures. image_tokens: their number."""

    def __init__(self, shape: Shape, images: nn.Module, image_tokens: int, norm: NormPlacement = "pre") -> None:
        super().__init__()
        self.images = images
        self.token_embedding = nn.Embedding(VOCABULARY, shape.width)
        self.position = nn.Parameter(0.02 * torch.randn(1 + TEXT_TOKENS + image_tokens, shape.width))
        self.front = nn.Parameter(0.02 * torch.randn(1, shape.width))
        self.layers = Encoder(shape.layers, shape.width, shape.heads, shape.feed_forward, norm)
        self.head = nn.Linear(shape.width, 1)

    @torch.no_grad()
    def forward(self, text: Int[Tensor, "1 tokens"], pictures: Tensor) -> Float[Tensor, " pictures"]:
        """Returns, for each picture, the logit that the text is true."""
        images = self.images(pictures)
        words = torch.cat([self.front, self.token_embedding(text[0])])
        x = torch.cat([words.expand(len(images), -1, -1), images], dim=1) + self.position
        first, _ = self.layers.first(x, torch.ones(x.shape[:2], dtype=torch.bool))
        scores: Tensor = self.head(first).float().squeeze(-1)
        return scores


class FromStates:
    """Our side: a model, and a library on disk with the pictures that it has read."""

    def __init__(self, model: SingleStreamModel, text: TextBatch, pixels: Tensor, folder: Path, library: int) -> None:
        self.model, self.text = model, text
        self.unrounded = model.read_images(ImageBatch(pixels))
        stored = self.unrounded.store()
        self.nbytes = stored[0].nbytes
        LanceDatabase.create(folder, model.embedding_dim, ReaderFacts(model.name, model.name, model.fingerprint))
        database = LanceDatabase(folder)
        self.store = database.states
        names = [f"{i:064x}" for i in range(library)]
        self.ids = random.Random(0).sample(names, len(stored))
        others = {name: stored[i % len(stored)] for i, name in enumerate(names)}
        self.store.put(others | dict(zip(self.ids, stored, strict=True)))
        database.tidy()

    def __call__(self) -> Tensor:
        """Returns the pictures' logits, as a search computes them for its candidates."""
        dtype = self.unrounded.hidden.dtype
        return self.scores(TokenStates.load(self.store.get(self.ids), "image", self.model.device, dtype))

    def scores(self, images: TokenStates) -> Tensor:
        return self.model.match(self.model.read_text(self.text)[[0] * len(images)], images)

    def agreement(self) -> tuple[float, float]:
        """Returns the largest difference from the logits of unrounded states, and the correlation with them."""
        found, expected = self(), self.scores(self.unrounded)
        correlation = torch.corrcoef(torch.stack([found, expected]))[0, 1].item()
        return (found - expected).abs().max().item(), correlation


class World:
    """The pictures, the text, and the models that run on them."""

    def __init__(self, setting: Setting, folder: Path) -> None:
        self.setting, self.folder = setting, folder
        scenes = [sample_scene(SEED + i) for i in range(CANDIDATES)]
        self.pictures = [render(scene, gallery_folder()) for scene in scenes]
        self.caption = grammar("en").caption(scene_captions(SceneIndex(scenes), 0, unique=False)[2])
        torch.manual_seed(0)
        ids = torch.randint(0, VOCABULARY, (1, TEXT_TOKENS))
        self.text = TextBatch(ids, torch.ones_like(ids, dtype=torch.bool))
        self.inputs = folder / "inputs.safetensors"
        save_file({"pixels": self.pixels(setting.peers_image_size), "ids": ids}, self.inputs)

    def pixels(self, side: int) -> Tensor:
        """Returns all pictures: (20, 3, side, side), uint8."""
        scaled = [picture.resize((side, side), Image.Resampling.BICUBIC) for picture in self.pictures]
        return torch.from_numpy(np.stack([np.asarray(picture) for picture in scaled])).permute(0, 3, 1, 2).contiguous()

    def ours(self, stored: Stored | None, dtype: torch.dtype) -> FromStates:
        """Returns our side. stored: what our body stores; None for the bundled model."""
        model = self._random(stored, dtype) if stored else load_folder(bundled_folder(), dtype)
        text = self.text if stored else model.tokenize([self.caption])
        folder = Path(tempfile.mkdtemp(dir=self.folder)) / "library"
        return FromStates(model, text, self.pixels(model.config.image_size), folder, self.setting.library)

    def _random(self, stored: Stored, dtype: torch.dtype) -> SingleStreamModel:
        body = self.setting.body
        config = SingleStreamConfig(
            vocabulary=VOCABULARY,
            answers=("yes", "no"),
            languages=("en",),
            width=body.width,
            heads=body.heads,
            feed_forward=body.feed_forward,
            layers=body.layers,
            first_joint_layer=stored.first_joint_layer,
            stem=self.setting.stem,
            image_size=self.setting.image_size,
            kept_grid=stored.kept_grid,
            compression="mean",
            state_width=stored.state_width,
        )
        torch.manual_seed(0)
        return SingleStreamModel(config, Tokenizer.load(bundled_folder() / "tokenizer.json")).to(dtype).eval()

    def from_pixels(self, ours: FromStates, case: Case) -> Callable[[], Tensor]:
        """Returns the full cross-encoder; the bundled model reads its pictures from pixels first."""
        model, dtype = ours.model, ours.unrounded.hidden.dtype
        pixels = self.pixels(model.config.image_size)
        if case.ours is None:
            return lambda: ours.scores(model.read_images(ImageBatch(pixels)))
        full = JointEncoder(self.setting.body, ConvStem(self.setting.stem), model.config.image_grid**2)
        return partial(full.to(dtype).eval(), ours.text.ids, pixels)

    def edje(self, dtype: torch.dtype) -> Callable[[], Tensor]:
        """Returns EDJE's shape over the pictures' tokens, which are held in memory without compression."""
        shape = self.setting.edje
        kept = torch.randn(self.setting.library, EDJE_TOKENS, shape.width, dtype=dtype)
        rows = torch.tensor(random.Random(0).sample(range(len(kept)), CANDIDATES))
        model = JointEncoder(shape, nn.Identity(), EDJE_TOKENS, "post").to(dtype).eval()
        return lambda: model(self.text.ids, kept[rows])


@contextmanager
def other_side(case: Case, world: World, ours: FromStates) -> Iterator[Callable[[int], float]]:
    """Yields a function that returns the other side's milliseconds per run over some runs."""
    dtype = ours.unrounded.hidden.dtype
    if case.peer == EDJE:
        yield partial(milliseconds, world.edje(dtype), CPU)
    elif case.peer == PIXELS:
        yield partial(milliseconds, world.from_pixels(ours, case), CPU)
    else:
        with Peer("_rerank_peer.py") as peer:
            peer(
                make=TRANSFORMERS[case.peer],
                inputs=str(world.inputs),
                small=world.setting is SMALL,
                dtype=str(dtype).removeprefix("torch."),
                threads=torch.get_num_threads(),
            )
            yield lambda times: float(peer(times=times))


def measure(case: Case, dtype: str, world: World, repeats: int) -> Row:
    ours = world.ours(case.ours, getattr(torch, dtype))
    difference, correlation = ours.agreement()
    if correlation < CORRELATION[dtype]:
        raise RuntimeError(f"{case.title}, {dtype}: scores from stored and unrounded states correlate by {correlation}")
    with other_side(case, world, ours) as theirs:
        sides = [partial(milliseconds, ours, CPU), theirs]
        for side in sides:
            side(1)
        blocks = [max(1, round(BLOCK_MS / side(1))) for side in sides]
        pairs = [[side(times) for side, times in zip(sides, blocks, strict=True)] for _ in range(repeats)]
    own_ms, peer_ms = (statistics.median(taken) for taken in zip(*pairs, strict=True))
    ratios = sorted(peer / own for own, peer in pairs)
    return {
        "case": case.title,
        "dtype": dtype,
        "ours_ms": round(own_ms, 1),
        "peer": case.peer,
        "peer_ms": round(peer_ms, 1),
        "ratio": round(peer_ms / own_ms, 2),
        "required": case.required,
        "spread": [round(ratios[0], 2), round(ratios[-1], 2)],
        "max_abs_diff": difference,
        "correlation": correlation,
        "text_tokens": ours.text.ids.shape[1],
        "bytes": ours.nbytes,
        "most_bytes": case.most_bytes,
        "peer_bytes": 2 * EDJE_TOKENS * world.setting.edje.width if case.peer == EDJE else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", default="", help="cases whose title holds this")
    parser.add_argument("--small", action="store_true", help="tiny bodies, to see that everything runs")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = Measurements("bench_rerank", SEED, arguments.output)
    with tempfile.TemporaryDirectory() as folder:
        world = World(SMALL if arguments.small else BASE, Path(folder))
        for case in CASES:
            dtypes = case.dtypes if native_dtype() == torch.bfloat16 else ("float32",)
            for dtype in dtypes if arguments.only in case.title else ():
                rows.add(measure(case, dtype, world, arguments.repeats))


if __name__ == "__main__":
    main()
