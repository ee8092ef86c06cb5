"""Batches of captions with their pictures, drawn by number."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from polyglance.data.captions import Caption
from polyglance.data.lines import named, short
from polyglance.errors import DataError
from polyglance.models.families.cut_model import Spelling
from polyglance.training.seeds import generator_of

SPELLED_IN_BYTES: Final = 1.75
"""Tokens per character above which a text counts as spelled in bytes: languages that the tokenizer has learned take 0.4
to 1.5, unknown letters take one token per byte, 2 or more."""


@dataclass(frozen=True, eq=False)
class CaptionBatch:
    """The captions of a batch.

    texts: the captions. captions: their indices in `CaptionSource.captions`. rows: each text's picture, as an index
    into `CaptionSource.images`. also_true[i, j]: whether text i is true of the picture of text j.
    """

    texts: tuple[str, ...]
    captions: Int[Tensor, " texts"]
    rows: Int[Tensor, " texts"]
    also_true: Bool[Tensor, "texts texts"]


class CaptionSource:
    """Draws batches of captions; each epoch has its own order and drops the captions that do not fill a batch.

    If wrong pictures were mined, a caption is followed by a caption of one of its wrong pictures, so that they are
    negatives of each other in any loss over a batch (grouped batches of GRIT-VLP, arXiv:2208.04060).

    Raises DataError if the captions are of fewer than two pictures, or too few for a step.
    """

    def __init__(self, captions: Sequence[Caption], batch: int, seed: int, parts: int = 1) -> None:
        """batch: captions per batch. seed: of the order. parts: the number of batches in an epoch is a multiple of
        this."""
        self.captions, self.seed = captions, seed
        self.images: tuple[Path, ...] = tuple(dict.fromkeys(caption.image for caption in captions))
        if len(self.images) < 2:
            raise DataError(f"expected captions of two pictures or more to train on, got {len(self.images)}")
        self.batch, self.parts = min(batch, max(2, len(captions) // parts)), parts
        if len(captions) < self.batch * parts:
            raise DataError(f"expected {2 * parts} captions or more for steps of {parts} batches, got {len(captions)}")
        row_of = {path: row for row, path in enumerate(self.images)}
        self._rows = torch.tensor([row_of[caption.image] for caption in captions])
        self.fits = [
            {row_of[path] for path in (caption.image, *caption.also) if path in row_of} for caption in captions
        ]
        self._texts_of = defaultdict[int, list[int]](list)
        for text, row in enumerate(self._rows.tolist()):
            self._texts_of[row].append(text)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    @property
    def batches_an_epoch(self) -> int:
        return len(self.captions) // (self.batch * self.parts) * self.parts

    def __call__(self, number: int, mined: Int[Tensor, "captions nearest"] | None = None) -> CaptionBatch:
        """Draws a batch.

        number: of the batch. mined: for each caption, the rows of wrong pictures, -1 for none; it must not change
        within an epoch.
        """
        epoch, number = divmod(number, self.batches_an_epoch)
        if epoch != self._epoch:
            generator = generator_of(self.seed, epoch)
            order = torch.randperm(len(self.captions), generator=generator)
            self._epoch, self._order = epoch, order if mined is None else self._grouped(order, mined, generator)
        chosen = self._order[number * self.batch : (number + 1) * self.batch].tolist()
        rows = self._rows[chosen]
        pictures = rows.tolist()
        also_true = torch.tensor([[row in self.fits[text] for row in pictures] for text in chosen])
        texts = tuple(self.captions[text].caption for text in chosen)
        return CaptionBatch(texts, torch.tensor(chosen), rows, also_true)

    def _grouped(
        self, order: Int[Tensor, " captions"], mined: Int[Tensor, "captions nearest"], generator: torch.Generator
    ) -> Int[Tensor, " captions"]:
        """Puts an unused caption of a mined picture, preferably in the same language, after each caption."""
        shuffled = mined.gather(1, torch.rand(mined.shape, generator=generator).argsort(dim=1)).tolist()
        grouped: dict[int, None] = {}
        for text in order.tolist():
            if text in grouped:
                continue
            grouped[text] = None
            language = self.captions[text].language
            for row in shuffled[text]:
                if unused := [other for other in self._texts_of.get(row, ()) if other not in grouped]:
                    grouped[min(unused, key=lambda other: self.captions[other].language != language)] = None
                    break
        return torch.tensor(list(grouped))


def texts_too_long(captions: Sequence[Caption], tokenizer: Spelling, max_tokens: int, what: str = "captions") -> int:
    """Counts the captions with more tokens than a model reads; it reads only their beginning.

    max_tokens: the most tokens that it reads. what: the word for captions in the error.

    Raises DataError if the tokenizer does not know a language's letters; it names these languages with an example each.
    """
    lengths: list[int] = []
    for start in range(0, len(captions), 1000):
        lengths += tokenizer.lengths([caption.caption for caption in captions[start : start + 1000]])
    rates = defaultdict[str, list[float]](list)
    for caption, length in zip(captions, lengths, strict=True):
        rates[caption.language].append(length / max(1, sum(not letter.isspace() for letter in caption.caption)))
    unknown = [language for language, of_captions in rates.items() if fmean(of_captions) > SPELLED_IN_BYTES]
    if unknown:
        shown = [next(text.caption for text in captions if text.language == language) for language in unknown]
        examples = named([f"{language} ({short(text)})" for language, text in zip(unknown, shown, strict=True)])
        raise DataError(
            f"the model's tokenizer cannot spell {what} in {examples}: leave them out, or take a model that knows "
            "the script"
        )
    return sum(length > max_tokens for length in lengths)
