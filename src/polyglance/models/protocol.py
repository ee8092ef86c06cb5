"""The one shape behind which every family of models stands: reading returns a value that everything else takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from polyglance.nn.states import TokenStates
from polyglance.types import Task


@dataclass(frozen=True, eq=False)
class TextBatch:
    """ids: (batch, tokens) int64. mask: (batch, tokens), True for a real token.

    languages: of each text the language added to the model whose subwords and adapter are its own; None for a text
    that needs none, and for all where none does.
    """

    ids: Int[Tensor, "batch tokens"]
    mask: Bool[Tensor, "batch tokens"]
    languages: tuple[str | None, ...] | None = None


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """pixels: (batch, 3, height, width) uint8, RGB. Of a model that reads what a detector saw: (batch, regions, width),
    with NaN behind the regions of a picture that has fewer than another."""

    pixels: UInt8[Tensor, "batch 3 height width"] | Float[Tensor, "batch regions width"]


class JointModel(Protocol):
    """A text-image model cut into readers and askers.

    The readers see one modality at a time and no task; the askers start from what was read. All of them run without
    gradients unless the model is in training mode. `fingerprint` is a hash of weights and configuration, but for
    `calibration` and `recall_by_depth`. `tasks` are those that its weights were trained for; what it gives for another
    means nothing.
    """

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def tasks(self) -> tuple[Task, ...]: ...
    @property
    def embedding_dim(self) -> int: ...
    @property
    def answers(self) -> tuple[str, ...]: ...
    @property
    def languages(self) -> tuple[str, ...]: ...
    @property
    def calibration(self) -> tuple[float, float]:
        """(slope, offset): `slope * logit + offset` are the log-odds that a match is true."""
        ...

    @property
    def recall_by_depth(self) -> tuple[float, ...]:
        """R@1 of searches in percent, by the `depth` of their matches; empty where none was measured."""
        ...

    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        """languages: the code of each text's; where none is said, all are in languages that the model began with."""
        ...

    def preprocess(self, image: Image) -> NDArray[np.uint8]:
        """One decoded RGB picture -> (3, height, width) uint8 as the model wants it; safe in worker threads."""
        ...

    def read_text(self, batch: TextBatch) -> TokenStates: ...
    def read_images(self, batch: ImageBatch) -> TokenStates: ...
    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        """Vectors of unit length, float32; the cosine of a text's and a picture's is the retrieval score."""
        ...

    def match(self, text: TokenStates, images: TokenStates, depth: int = 0) -> Float[Tensor, " pairs"]:
        """The logit that text i is true of picture i.

        depth: how many of the lowest joint layers run without an adapter for matching, which takes less time
        (AdapterDrop, arXiv:2010.11918). Raises ConfigurationError for one that the model does not have; all have 0.
        """
        ...

    def answer(self, text: TokenStates, images: TokenStates) -> Float[Tensor, "pairs answers"]:
        """Logits over `answers` for question i about picture i."""
        ...


@runtime_checkable
class AnswerWriter(Protocol):
    """A `JointModel` that makes up answers word by word, and needs no list of them."""

    def write(self, text: TokenStates, images: TokenStates, top: int) -> list[list[tuple[str, float]]]:
        """For question i about picture i the `top` answers that a search with as many beams finds, best first, each
        with its probability."""
        ...


class PairScorer(Protocol):
    """A cross-encoder that reads both sides anew: it starts from pixels, and from no states."""

    @property
    def name(self) -> str: ...

    def score(self, texts: Sequence[str], images: Sequence[Image]) -> Float[Tensor, " pairs"]:
        """The log-odds that text i is true of picture i, float32. images: decoded, RGB."""
        ...
