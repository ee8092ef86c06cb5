"""Protocols for what a model can do, one for each ability. Code that needs an ability asks for its protocol.

Every model is a `Reader`: it knows the identity of an input, opens it, and reads it to token states. A model may also
be an `Embedder`, a `Matcher`, an `Answerer` or an `AnswerWriter`; all of these start from token states. The structure
of a model does not tell which of these abilities it was trained for, because it may hold untrained weights. Use
`as_embedder`, `as_matcher` and `as_answerer` to ask a model for an ability.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
"""A picture: a file, the bytes of a file, a PIL image, or a uint8 array (height, width) or (height, width, 3 or 4)."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that was opened for a model.

    size: (width, height) of the upright picture in pixels. values: the output of the model's preprocessor, (3, height,
    width), uint8; for a model that reads the regions of a detector, (regions, width), float32.
    """

    size: tuple[int, int]
    values: NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TextBatch:
    """Texts as subword ids, padded to the longest text.

    ids: (batch, tokens), int64. mask: (batch, tokens), True for a real token and False for padding. languages: for each
    text, the added language whose subwords and adapter read it, or None; the whole field is None if no text has one.
    """

    ids: Int[Tensor, "batch tokens"]
    mask: Bool[Tensor, "batch tokens"]
    languages: tuple[str | None, ...] | None = None

    def to(self, device: torch.device) -> "TextBatch":
        return replace(self, ids=self.ids.to(device), mask=self.mask.to(device))


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """A batch of opened pictures.

    pixels: (batch, 3, height, width), uint8, RGB. For a model that reads the regions of a detector, (batch, regions,
    width), float32, padded with NaN after the regions of a picture that has fewer than the others.
    """

    pixels: UInt8[Tensor, "batch 3 height width"] | Float[Tensor, "batch regions width"]

    @classmethod
    def of(cls, pictures: Sequence[Picture]) -> "ImageBatch":
        """Makes a batch of one or more pictures that the same model opened. Regions are padded to the longest list."""
        if pictures[0].values.ndim == 2:
            regions = [torch.from_numpy(picture.values) for picture in pictures]
            return cls(pad_sequence(regions, batch_first=True, padding_value=torch.nan))
        return cls(torch.from_numpy(np.stack([picture.values for picture in pictures])))


@runtime_checkable
class Reader(Protocol):
    """A model that reads texts and pictures separately to token states.

    It runs without gradients unless it is in training mode. `tasks` are the tasks that its weights were trained for;
    its output for any other task is meaningless. `languages` are the codes of the languages that it reads.
    """

    @property
    def identity(self) -> ModelIdentity:
        """The `name`, `source` and `fingerprint`, with everything else that the keys of inputs depend on."""
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
        """Whether this package can train the model."""
        ...

    @property
    def device(self) -> torch.device:
        """The device of the weights. Token states passed to the model must be on the same device."""
        ...

    def key(self, source: Text | str | os.PathLike[str]) -> str:
        """Returns the key under which the states of a text or a picture file are stored, see `ModelIdentity.key`."""
        ...

    def open(self, image: ImageInput) -> Picture:
        """Opens and preprocesses a picture for the model. Safe to call in worker threads.

        Raises:
            PictureError: the picture cannot be decoded, or the model does not take it.
        """
        ...

    def empty_picture(self) -> Picture:
        """Returns a blank picture, as `open` would."""
        ...

    def read(self, inputs: Sequence[Text] | Sequence[Picture]) -> TokenStates:
        """Reads texts or opened pictures, at least one, to token states: one row each, on the model's device."""
        ...


@runtime_checkable
class Embedder(Reader, Protocol):
    """A model that turns token states into one vector per input: a twin encoder, for retrieval."""

    @property
    def embedding_dim(self) -> int: ...

    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        """Returns unit-length float32 vectors. The cosine of a text's and a picture's vector is the retrieval score."""
        ...


@runtime_checkable
class Matcher(Reader, Protocol):
    """A model that reads a text and a picture together: a cross-encoder, for reranking."""

    @property
    def calibration(self) -> tuple[float, float]:
        """(slope, offset), where `slope * logit + offset` are the log-odds that a text is true of a picture.

        The logit is that of `match`, plus `cosine_weight` times the cosine of both vectors.
        """
        ...

    @property
    def cosine_weight(self) -> float:
        """What the twin encoder has to say in a match; 0 for a cross-encoder that judges alone."""
        ...

    @property
    def recall_by_depth(self) -> tuple[float, ...]:
        """R@1 of searches in percent, indexed by the `depth` of their matches; empty if it was not measured."""
        ...

    def match(self, text: TokenStates, images: TokenStates, depth: int = 0) -> Float[Tensor, " pairs"]:
        """Returns the logit that text i is true of picture i.

        depth: the number of the lowest joint layers that run without the adapter for matching, which takes less time
        (AdapterDrop, arXiv:2010.11918). Every model has depth 0.

        Raises:
            ConfigurationError: the model does not have this depth.
        """
        ...


@runtime_checkable
class Answerer(Reader, Protocol):
    """A model that chooses the answer to a question about a picture from a fixed list."""

    @property
    def answers(self) -> tuple[str, ...]: ...

    def answer_logits(self, text: TokenStates, images: TokenStates) -> Float[Tensor, "pairs answers"]:
        """Returns the logits over `answers` for question i about picture i."""
        ...


@runtime_checkable
class AnswerWriter(Reader, Protocol):
    """A model that generates answers word by word instead of choosing from a list."""

    def write(self, text: TokenStates, images: TokenStates, top: int) -> list[list[tuple[str, float]]]:
        """Returns the answers to question i about picture i, found by a beam search of width `top`.

        Each answer comes with its probability, and the best one is first.
        """
        ...


@runtime_checkable
class SubwordReader(Reader, Protocol):
    """A model that reads texts as subwords and exposes its tokenizer."""

    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        """Splits texts into subwords, padded to the longest text. Texts that are too long for the model are cut.

        languages: the code of each text's language. If empty, no text is in a language that was added to the model.
        """
        ...


class PairScorer(Protocol):
    """A cross-encoder that reads texts and pixels directly instead of token states."""

    @property
    def name(self) -> str: ...

    def log_odds(self, texts: Sequence[str], images: Sequence[Image.Image]) -> Float[Tensor, " pairs"]:
        """Returns the log-odds that text i is true of picture i, float32.

        images: decoded RGB pictures, as many as texts.
        """
        ...
