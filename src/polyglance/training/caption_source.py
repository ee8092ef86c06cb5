"""Batches of captions with the pictures they belong to, drawn by the step's number."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from polyglance.data.captions import Caption
from polyglance.errors import DataError


@dataclass(frozen=True, eq=False)
class CaptionBatch:
    """rows: of each text its picture in `CaptionSource.images`. also_true[i, j]: text i is true of the picture of j."""

    texts: tuple[str, ...]
    rows: Int[Tensor, " texts"]
    also_true: Bool[Tensor, "texts texts"]


class CaptionSource:
    """Every epoch all captions, in an order of its own; those that fill no whole batch wait for the next epoch.

    Raises DataError for captions of fewer than two pictures, among which there is nothing to tell apart.
    """

    def __init__(self, captions: Sequence[Caption], batch: int, seed: int) -> None:
        self.captions, self.seed = captions, seed
        self.images: tuple[Path, ...] = tuple(dict.fromkeys(caption.image for caption in captions))
        if len(self.images) < 2:
            raise DataError(f"expected captions of two pictures or more to train on, got {len(self.images)}")
        self.batch = min(batch, len(captions))
        row_of = {path: row for row, path in enumerate(self.images)}
        self._rows = torch.tensor([row_of[caption.image] for caption in captions])
        self._fits = [
            {row_of[path] for path in (caption.image, *caption.also) if path in row_of} for caption in captions
        ]
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    @property
    def steps_an_epoch(self) -> int:
        return len(self.captions) // self.batch

    def __call__(self, step: int) -> CaptionBatch:
        epoch, number = divmod(step, self.steps_an_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self.seed << 32 | epoch)
            self._epoch, self._order = epoch, torch.randperm(len(self.captions), generator=generator)
        chosen = self._order[number * self.batch : (number + 1) * self.batch].tolist()
        rows = self._rows[chosen]
        there = rows.tolist()
        also_true = torch.tensor([[row in self._fits[text] for row in there] for text in chosen])
        return CaptionBatch(tuple(self.captions[text].caption for text in chosen), rows, also_true)
