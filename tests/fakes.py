"""A small real model behind the protocol: it sees colours, and it knows the words for four of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL.Image import Image, Resampling
from torch import Tensor

from polyglance.models.model import Model
from polyglance.models.protocol import ImageBatch, Picture, TextBatch
from polyglance.nn.states import TokenStates
from polyglance.types import Task, Text

COLOURS = {"red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
_GERMAN = {"rot": "red", "grün": "green", "blau": "blue", "weiß": "white"}
_SIDE = 8
_PALETTE = torch.tensor(list(COLOURS.values()), dtype=torch.float32)


@dataclass
class ColourModel(Model):
    """States: one token for each quarter of a picture, the shares of the four colours in it, and one for each word.

    embed sees the mean over tokens; match also sees where, at depth 0: "red left" wants the left quarters red. The
    answer to any question is the colour that covers most of the picture.
    """

    name: str = "colours"
    fingerprint: str = "colours-1"
    source: str | None = None
    tasks: tuple[Task, ...] = ("embed", "match", "answer")
    pictures_read: int = 0
    batches_read: list[int] = field(default_factory=list)
    embedding_dim: int = len(COLOURS)
    answers: tuple[str, ...] = tuple(COLOURS)
    languages: tuple[str, ...] = ("en", "de", "ru")
    calibration: tuple[float, float] = (1.0, 0.0)
    cosine_weight: float = 0.0
    recall_by_depth: tuple[float, ...] = ()

    @property
    def device(self) -> torch.device:
        return _PALETTE.device

    def read(self, inputs: Sequence[Text] | Sequence[Picture]) -> TokenStates:
        texts = [one for one in inputs if isinstance(one, Text)]
        if texts:
            return self.read_text(self.tokenize([one.text for one in texts], [one.language for one in texts]))
        return self.read_images(ImageBatch.of(inputs))

    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        words = [[_word(word) for word in re.findall(r"\w+", text.lower())] or [0] for text in texts]
        longest = max(map(len, words))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in words])
        mask = torch.tensor([[column < len(row) for column in range(longest)] for row in words])
        return TextBatch(ids, mask)

    def preprocess(self, image: Image) -> NDArray[np.uint8]:
        return np.asarray(image.resize((_SIDE, _SIDE), Resampling.NEAREST)).transpose(2, 0, 1).copy()

    def read_text(self, batch: TextBatch) -> TokenStates:
        table = torch.cat([torch.zeros(1, 6), torch.eye(6)])
        return TokenStates(table[batch.ids] * batch.mask.unsqueeze(-1), batch.mask, "text")

    def read_images(self, batch: ImageBatch) -> TokenStates:
        self.pictures_read += len(batch.pixels)
        self.batches_read.append(len(batch.pixels))
        pixels = batch.pixels.float().permute(0, 2, 3, 1)
        nearest = (pixels.unsqueeze(-2) - _PALETTE).square().sum(-1).argmin(-1)
        shares = torch.nn.functional.one_hot(nearest, len(COLOURS)).float()
        half = _SIDE // 2
        quarters = [shares[:, y : y + half, x : x + half].mean((1, 2)) for y in (0, half) for x in (0, half)]
        hidden = torch.cat([torch.stack(quarters, 1), torch.zeros(len(pixels), 4, 2)], -1)
        return TokenStates(hidden, torch.ones(hidden.shape[:2], dtype=torch.bool), "image")

    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        colours = (states.hidden * states.mask.unsqueeze(-1)).sum(1)[:, : len(COLOURS)] + 1e-3
        return torch.nn.functional.normalize(colours, dim=-1)

    def match(self, text: TokenStates, images: TokenStates, depth: int = 0) -> Float[Tensor, " pairs"]:
        words = text.hidden.sum(1) * torch.tensor([1, 1, 1, 1, depth == 0, depth == 0])
        left, right = images.hidden[:, 0::2, :4].mean(1), images.hidden[:, 1::2, :4].mean(1)
        wants_left, wants_right = words[:, 4:5], words[:, 5:6]
        anywhere = (left + right) / 2 * (1 - wants_left - wants_right).clamp_min(0)
        return 8 * (words[:, :4] * (wants_left * left + wants_right * right + anywhere)).sum(-1) - 4

    def answer_logits(self, text: TokenStates, images: TokenStates) -> Float[Tensor, "pairs answers"]:
        return 8 * images.hidden[..., :4].mean(1)


@dataclass
class TimedModel(ColourModel):
    """With a clock of its own, which only its work moves: a text takes 2 ms, a picture 3, a vector 0.5, a pair 0.25 and
    0.05 less for each layer that is dropped."""

    seconds: float = 0.0

    def clock(self) -> float:
        return self.seconds

    def read_text(self, batch: TextBatch) -> TokenStates:
        self.seconds += 0.002 * len(batch.ids)
        return super().read_text(batch)

    def read_images(self, batch: ImageBatch) -> TokenStates:
        self.seconds += 0.003 * len(batch.pixels)
        return super().read_images(batch)

    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        self.seconds += 0.0005 * len(states)
        return super().embed(states)

    def match(self, text: TokenStates, images: TokenStates, depth: int = 0) -> Float[Tensor, " pairs"]:
        self.seconds += (0.00025 - 0.00005 * depth) * len(text)
        return super().match(text, images, depth)


def _word(word: str) -> int:
    """1-4 a colour, 5 left, 6 right, 0 anything else."""
    known = [*COLOURS, "left", "right"]
    word = _GERMAN.get(word, word)
    return known.index(word) + 1 if word in known else 0
