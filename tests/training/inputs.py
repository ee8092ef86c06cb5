"""Examples before a tiny frozen encoder, of which a label can be told by looking at the right token."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from polyglance.nn.encoder import Encoder

LAYERS, WIDTH, VOCABULARY = 4, 16, 12


@dataclass(eq=False)
class TinyInputs:
    """Texts of 3 to 7 tokens. embedded: rows that `embed` was asked for."""

    encoder: Encoder
    ids: Tensor
    mask: Tensor
    fingerprint: str = "tiny"
    embedded: list[int] = field(default_factory=list)

    @classmethod
    def make(cls, examples: int = 20, seed: int = 0) -> Self:
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            encoder = Encoder(LAYERS, WIDTH, 2, 32).eval().requires_grad_(False)
        ids = torch.randint(1, VOCABULARY, (examples, 7), generator=generator)
        mask = torch.arange(7) < torch.randint(3, 8, (examples, 1), generator=generator)
        return cls(encoder, ids, mask)

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        return {"ids": self.ids, "mask": self.mask}

    @property
    def labels(self) -> Tensor:
        """Whether the first token is of the upper half of the vocabulary."""
        return (self.ids[:, 0] >= VOCABULARY // 2).long()

    def __len__(self) -> int:
        return len(self.ids)

    def embed(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        self.embedded += rows.tolist()
        table = torch.randn(VOCABULARY, WIDTH, generator=torch.Generator().manual_seed(7))
        return table[self.ids[rows]], self.mask[rows]

    def but(self, **changed: object) -> Self:
        return replace(self, **changed, embedded=[])
