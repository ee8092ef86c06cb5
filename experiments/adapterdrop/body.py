"""The body that holds the tasks' adapters: one sequence as in BERT, joint from the first layer on.

The sequence is [CLS], the tokens of a text, and the 16 token states that the bundled model keeps of a picture's cells.
The picture layers that compute these were trained on scene graphs and on names of drawings, and are frozen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.pretraining.picture_stage import CELLS
from polyglance.data.tokenization import Tokenizer
from polyglance.models.protocol import TextBatch
from polyglance.nn.encoder import Encoder


@dataclass(frozen=True)
class BodyConfig:
    """The shape of a `SceneBody`. picture_width: the number of values of a picture token."""

    vocabulary: int
    layers: int = 8
    width: int = 128
    heads: int = 4
    text_tokens: int = 64
    picture_width: int = 128


class SceneBody(nn.Module):
    """A pre-norm encoder over [CLS], an English text and a picture."""

    def __init__(self, config: BodyConfig, tokenizer: Tokenizer) -> None:
        super().__init__()
        c = config
        self.config, self.tokenizer = config, tokenizer
        self.token_embedding = nn.Embedding(c.vocabulary, c.width)
        self.text_position = nn.Embedding(c.text_tokens, c.width)
        self.cls = nn.Parameter(torch.empty(c.width))
        self.expand_picture = nn.Linear(c.picture_width, c.width)
        self.picture_position = nn.Parameter(torch.empty(CELLS, c.width))
        self.encoder = Encoder(c.layers, c.width, c.heads, 4 * c.width)
        self.apply(_initialise)
        for parameter in (self.cls, self.picture_position):
            nn.init.trunc_normal_(parameter, std=0.02)

    def tokenize(self, texts: Sequence[str]) -> TextBatch:
        """Tokenizes texts, padded to the longest; a text longer than `text_tokens` is cut."""
        ids, mask = self.tokenizer.encode(texts, self.config.text_tokens)
        return TextBatch(torch.from_numpy(ids), torch.from_numpy(mask))

    def embed(
        self, texts: TextBatch, pictures: Float[Tensor, "batch cells picture_width"]
    ) -> tuple[Float[Tensor, "batch tokens width"], Bool[Tensor, "batch tokens"]]:
        """Returns the inputs of the first layer and the mask of those that are not padding."""
        rows, length = texts.ids.shape
        shown = self.expand_picture(pictures.to(self.cls.dtype)) + self.picture_position
        words = self.token_embedding(texts.ids) + self.text_position.weight[:length]
        mask = F.pad(F.pad(texts.mask, (1, 0), value=True), (0, CELLS), value=True)
        return torch.cat([self.cls.expand(rows, 1, -1), words, shown], dim=1), mask

    def forward(
        self, texts: TextBatch, pictures: Float[Tensor, "batch cells picture_width"]
    ) -> Float[Tensor, "batch tokens width"]:
        hidden: Tensor = self.encoder(*self.embed(texts, pictures))
        return hidden


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
