"""Texts as inputs for training adapters in a text encoder."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Bool, Float, Int
from torch import Tensor

from polyglance.models.families.text_encoder import TextEncoder
from polyglance.nn.encoder import Encoder
from polyglance.training.state_cache import weights_fingerprint


@dataclass(frozen=True, eq=False)
class TextInputs:
    """`Inputs` for tokenized texts.

    body: the text encoder. ids: of the tokens. mask: False for padding. token_types: as the body's tokenizer gives them
    to pairs of texts; None means type 0 for all.

    `embed` raises ConfigurationError if a text has more tokens than the body has positions.
    """

    body: TextEncoder
    ids: Int[Tensor, "texts tokens"]
    mask: Bool[Tensor, "texts tokens"]
    token_types: Int[Tensor, "texts tokens"] | None = None

    @property
    def encoder(self) -> Encoder:
        return self.body.encoder

    @cached_property
    def fingerprint(self) -> str:
        return weights_fingerprint(self.body)

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        types = {} if self.token_types is None else {"token_types": self.token_types}
        return {"ids": self.ids, "mask": self.mask, **types}

    def __len__(self) -> int:
        return len(self.ids)

    def embed(
        self, rows: Int[Tensor, " rows"]
    ) -> tuple[Float[Tensor, "rows tokens width"], Bool[Tensor, "rows tokens"]]:
        device = self.body.token_embedding.weight.device
        longest = int(self.mask[rows].sum(dim=1).max())
        ids, mask = self.ids[rows, :longest].to(device), self.mask[rows, :longest].to(device)
        types = None if self.token_types is None else self.token_types[rows, :longest].to(device)
        return self.body.embed(ids, mask, types), mask
