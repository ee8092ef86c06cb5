"""What a model can do, one protocol for each ability. Whoever needs an ability asks for that type.

A model is a `Reader`: it knows the identity of an input, opens it, and reads it to token states. Where it can, it is an
`Embedder`, a `Matcher`, an `Answerer` or an `AnswerWriter` as well, which all start from token states. Structure alone
does not tell which: weights may be there that nobody trained. `as_embedder` and its like ask a model for an ability.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from polyglance.models.identity import ModelIdentity
from polyglance.nn.states import TokenStates
from polyglance.types import Task, Text

ImageInput = str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8]
"""A picture: its file, the bytes of one, a PIL image, or an array (height, width) or (height, width, 3 or 4)."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture, opened as a model wants it.

    size: (width, height) in pixels, upright. values: (3, height, width) uint8 as the model's preprocessor made it, or,
    for a model that reads what a detector saw, (regions, width) float32.
    """

    size: tuple[int, int]
    values: NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TextBatch:
    """Texts as ids of subwords, padded to the longest.

    ids: (batch, tokens) int64. mask: (batch, tokens), True for a real token. languages: for each text the added
    language whose subwords and adapter it is read with; None for a text without one, and for all where no text has one.
    """

    ids: Int[Tensor, "batch tokens"]
    mask: Bool[Tensor, "batch tokens"]
    languages: tuple[str | None, ...] | None = None


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Opened pictures side by side.

    pixels: (batch, 3, height, width) uint8, RGB. For a model that reads what a detector saw: (batch, regions, width),
    with NaN behind the regions of a picture that has fewer than another.
    """

    pixels: UInt8[Tensor, "batch 3 height width"] | Float[Tensor, "batch regions width"]

    @classmethod
    def of(cls, pictures: Sequence[Picture]) -> "ImageBatch":
        """One picture or more, opened by one model; regions are padded to the most."""
        if pictures[0].values.ndim == 2:
            regions = [torch.from_numpy(picture.values) for picture in pictures]
            return cls(pad_sequence(regions, batch_first=True, padding_value=torch.nan))
        return cls(torch.from_numpy(np.stack([picture.values for picture in pictures])))


@runtime_checkable
class Reader(Protocol):
    """A model that reads texts and pictures, each alone, to token states.

    It runs without gradients unless it is in training mode. `tasks` says which abilities its weights were trained for;
    what it gives for another one means nothing. `languages` are the codes of the languages that it reads.
    """

    @property
    def identity(self) -> ModelIdentity:
        """`name`, `source` and `fingerprint` in one, with what else the keys of inputs depend on."""
        ...

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str | None: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def tasks(self) -> tuple[Task, ...]: ...
    @property
    def languages(self) -> tuple[str, ...]: ...
    @property
    def trainable(self) -> bool:
        """Whether the trainings of this package can train it."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the weights are; token states that the model is given have to be there as well."""
        ...

    def key(self, source: Text | str | os.PathLike[str]) -> str:
        """The name under which what is read from a text or a picture file is kept, see `ModelIdentity.key`."""
        ...

    def open(self, image: ImageInput) -> Picture:
        """A picture as the model wants it; safe in worker threads.

        Raises PictureError for a picture that cannot be read, also for one that is no more than odd to the model.
        """
        ...

    def empty_picture(self) -> Picture:
        """A picture with nothing in it, as `open` gives one."""
        ...

    def read(self, inputs: Sequence[Text] | Sequence[Picture]) -> TokenStates:
        """The token states of one text or more, or of one opened picture or more; a row each, on the model's device."""
        ...


@runtime_checkable
class Embedder(Reader, Protocol):
    """A model that makes one vector of what it read: a twin encoder, for retrieval."""

    @property
    def embedding_dim(self) -> int: ...

    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        """Vectors of unit length, float32; the cosine of a text's and a picture's is the retrieval score."""
        ...


@runtime_checkable
class Matcher(Reader, Protocol):
    """A model that looks at a text and a picture together: a cross-encoder, for reranking."""

    @property
    def calibration(self) -> tuple[float, float]:
        """(slope, offset): `slope * logit + offset` are the log-odds that a match is true."""
        ...

    @property
    def recall_by_depth(self) -> tuple[float, ...]:
        """R@1 of searches in percent, by the `depth` of their matches; empty where none was measured."""
        ...

    def match(self, text: TokenStates, images: TokenStates, depth: int = 0) -> Float[Tensor, " pairs"]:
        """The logit that text i is true of picture i.

        depth: how many of the lowest joint layers run without an adapter for matching, which takes less time
        (AdapterDrop, arXiv:2010.11918). Raises ConfigurationError for one that the model does not have; all have 0.
        """
        ...


@runtime_checkable
class Answerer(Reader, Protocol):
    """A model that chooses the answer to a question about a picture from a list."""

    @property
    def answers(self) -> tuple[str, ...]: ...

    def answer_logits(self, text: TokenStates, images: TokenStates) -> Float[Tensor, "pairs answers"]:
        """Logits over `answers` for question i about picture i."""
        ...


@runtime_checkable
class AnswerWriter(Reader, Protocol):
    """A model that makes up answers word by word, and needs no list of them."""

    def write(self, text: TokenStates, images: TokenStates, top: int) -> list[list[tuple[str, float]]]:
        """For question i about picture i the `top` answers that a beam search of that width finds, best first, each
        with its probability."""
        ...


@runtime_checkable
class SubwordReader(Reader, Protocol):
    """A model that reads texts as subwords, which it shows."""

    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        """Padded to the longest text; a text that is too long for the model is cut.

        languages: the code of each text's language; without any, all texts are in languages that the model began with.
        """
        ...


class PairScorer(Protocol):
    """A cross-encoder that reads both sides anew: it starts from pixels, and from no token states."""

    @property
    def name(self) -> str: ...

    def log_odds(self, texts: Sequence[str], images: Sequence[Image.Image]) -> Float[Tensor, " pairs"]:
        """The log-odds that text i is true of picture i, float32. images: decoded, RGB."""
        ...
