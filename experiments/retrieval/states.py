"""Compares ways to store the states of a picture: number, origin, width and precision of its tokens, cost and loss."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.results import Row
from experiments.retrieval.systems import DIRECTIONS, Reading
from experiments.retrieval.training import bundled, trained_to_store
from experiments.retrieval.world import World
from polyglance.evaluation.retrieval import rerank, retrieve
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.protocol import ImageBatch
from polyglance.models.reading import read_texts
from polyglance.nn.states import TokenStates
from polyglance.types import StageProgress

CANDIDATES = 20
BITS = (16, 8, 4)
TIMED = 30


@dataclass(frozen=True)
class Storage:
    """A way to store states. shape: the fields of the model's config that it sets."""

    name: str
    shape: dict[str, object] = field(hash=False)


def _storage(compression: str, kept_grid: int, state_width: int) -> Storage:
    shape: dict[str, object] = {"compression": compression, "kept_grid": kept_grid, "state_width": state_width}
    return Storage(f"{compression}-{kept_grid**2}-{state_width}", shape)


EVERYTHING = _storage("merge", 8, 192)
"""All image tokens at the model's full width, which a cross-encoder reads from pixels."""
DEFAULT = _storage("merge", 4, 128)
"""The way of the bundled model."""
WAYS = (
    EVERYTHING,
    DEFAULT,
    *(_storage(kind, 4, 128) for kind in ("mean", "queries")),
    *(_storage("merge", 4, width) for width in (64, 32, 192)),
    *(_storage("mean", side, 128) for side in (5, 3, 2, 8)),
)
CUTS = tuple(Storage(f"cut-{cut}", {"first_joint_layer": cut}) for cut in (1, 2, 3, 4))
"""The way of the bundled model with the cut at other layers; all weights are trained, on fewer pictures."""


def rounded(hidden: Float[Tensor, "rows tokens width"], bits: int) -> Float[Tensor, "rows tokens width"]:
    """Rounds states to `bits` bits per value with one symmetric scale per token, as `TokenStates.store` does with 8
    bits."""
    if bits == 16:
        return hidden.to(torch.bfloat16).float()
    levels = 2 ** (bits - 1) - 1
    scales = (hidden.abs().amax(dim=-1, keepdim=True) / levels).clamp_min(1e-8).half().float()
    return (hidden / scales).round().clamp(-levels, levels) * scales


def bytes_a_picture(tokens: int, width: int, bits: int) -> int:
    """Returns the bytes of the values and, below 16 bits, of a two-byte scale per token."""
    return tokens * width * bits // 8 + (0 if bits == 16 else 2 * tokens)


def state_rows(storage: Storage, world: World, report: StageProgress) -> Iterator[Row]:
    """Yields R@1 in the first pool, in both directions and each precision, with candidates of the model's own twin
    encoder."""
    model = trained_to_store(world, storage.name, storage.shape, report)
    hidden = _compressed(model, storage, world, world.settings.pools[0], report).hidden.float()
    texts = read_texts(model, world.texts[: len(world.asked)])
    everywhere = torch.ones(hidden.shape[:2], dtype=torch.bool)
    for bits in BITS:
        dtype = next(model.parameters()).dtype
        images = TokenStates(rounded(hidden, bits).to(dtype), everywhere, "image")
        reading = Reading(model, images, texts, torch.tensor(world.asked))
        yield {
            "part": "states",
            "name": storage.name,
            "compression": model.config.compression,
            "state_width": model.config.state_width,
            "cut": model.config.first_joint_layer,
            "tokens": hidden.shape[1],
            "bits": bits,
            "bytes": bytes_a_picture(*hidden.shape[1:], bits),
            "pool": len(images),
            **_recalls(reading, CANDIDATES),
        }


def _compressed(
    model: SingleStreamModel, storage: Storage, world: World, pictures: int, report: StageProgress
) -> TokenStates:
    """Returns the states of the first test pictures, unrounded."""
    if storage in CUTS:
        parts = world.pixels("test")[:pictures].split(100)
        return TokenStates.joined([model.read_images(ImageBatch(pixels)) for pixels in parts])
    seen = world.seen("test", bundled(), report)
    return model.compress(seen.tokens.view(len(seen), -1, seen.width)[:pictures])


def _recalls(reading: Reading, candidates: int) -> Row:
    row: Row = {}
    for direction in DIRECTIONS:
        asking, items = reading.vectors(direction)
        found, _ = retrieve(asking, items, candidates)
        queries = reading.queries(direction, torch.arange(len(asking)))
        pool = reading.items(direction)
        ranked = rerank(reading.model, queries, pool, found, direction == "text_to_image")
        right = reading.right(direction)
        row[direction] = {"twin": round(found.recall(right, 1), 2), "R@1": round(ranked.recall(right, 1), 2)}
    return row


def all_pairs_row(storage: Storage, world: World, report: StageProgress) -> Row:
    """Measures the model as a full cross-encoder: each text with each picture of the first pool, with unrounded
    states."""
    model = trained_to_store(world, storage.name, storage.shape, report)
    size = world.settings.pools[0]
    images = _compressed(model, storage, world, size, report)
    texts = read_texts(model, world.texts[: len(world.asked)])
    reading = Reading(model, images, texts, torch.tensor(world.asked))
    everything = torch.arange(size).expand(len(texts), -1)
    scores = reading.match("text_to_image", texts, everything)
    right = reading.asked
    to_image = 100 * (scores.argmax(dim=1) == right).float().mean().item()
    to_text = 100 * (scores[:, right].argmax(dim=0) == torch.arange(len(right))).float().mean().item()
    return {
        "part": "all_pairs",
        "name": storage.name,
        "compression": model.config.compression,
        "state_width": model.config.state_width,
        "tokens": images.hidden.shape[1],
        "pool": size,
        "text_to_image": {"R@1": round(to_image, 2)},
        "image_to_text": {"R@1": round(to_text, 2)},
    }


def state_time_rows(ways: Sequence[Storage], world: World, report: StageProgress) -> Iterator[Row]:
    """Yields the milliseconds to rerank 20 candidates from states stored in 8 bits, for each way of storing."""
    text = world.texts[0]
    for storage in ways:
        model = trained_to_store(world, storage.name, storage.shape, report)
        stored = _compressed(model, storage, world, CANDIDATES, report).store()
        query = read_texts(model, [text])
        taken = []
        for _ in range(TIMED + 1):
            started = perf_counter()
            images = TokenStates.load(stored, "image", query.hidden.device, query.hidden.dtype)
            model.match(query[[0] * len(stored)], images)
            taken.append(1000 * (perf_counter() - started))
        counted = taken[1:]
        yield {
            "part": "state_times",
            "name": storage.name,
            "milliseconds": round(median(counted), 3),
            "spread": [round(min(counted), 3), round(max(counted), 3)],
        }
