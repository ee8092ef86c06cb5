"""The one shape behind which every family of models stands: reading returns a value that everything else takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from polyglance.nn.states import TokenStates


@dataclass(frozen=True, eq=False)
class TextBatch:
    """ids: (batch, tokens) int64. mask: (batch, tokens), True for a real token."""

    ids: Int[Tensor, "batch tokens"]
    mask: Bool[Tensor, "batch tokens"]


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """pixels: (batch, 3, height, width) uint8, RGB."""

    pixels: UInt8[Tensor, "batch 3 height width"]


class JointModel(Protocol):
    """A text-image model cut into readers and askers.

    The readers see one modality at a time and no task; the askers start from what was read. All of them run without
    gradients unless the model is in training mode. `fingerprint` is a hash of weights and configuration, but for
    `calibration`.
    """

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
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

    def tokenize(self, texts: Sequence[str]) -> TextBatch: ...
    def preprocess(self, image: Image) -> NDArray[np.uint8]:
        """One decoded RGB picture -> (3, height, width) uint8 as the model wants it; safe in worker threads."""
        ...

    def read_text(self, batch: TextBatch) -> TokenStates: ...
    def read_images(self, batch: ImageBatch) -> TokenStates: ...
    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        """Vectors of unit length, float32; the cosine of a text's and a picture's is the retrieval score."""
        ...

    def match(self, text: TokenStates, images: TokenStates) -> Float[Tensor, " pairs"]:
        """The logit that text i is true of picture i."""
        ...

    def answer(self, text: TokenStates, images: TokenStates) -> Float[Tensor, "pairs answers"]:
        """Logits over `answers` for question i about picture i."""
        ...
