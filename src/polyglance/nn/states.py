"""Token states: the output of reading, and the input of everything after it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from polyglance.types import Modality, StoredStates


@dataclass(frozen=True, eq=False)
class TokenStates:
    """Hidden states of texts or pictures at the cut, after compression.

    hidden: (batch, tokens, width). mask: (batch, tokens), True for a real token, False for padding. modality: `text` or
    `image`. vector: (batch, embedding_dim), the embedding of a model that embeds below the cut, before compression;
    None if the model embeds the states themselves.
    """

    hidden: Float[Tensor, "batch tokens width"]
    mask: Bool[Tensor, "batch tokens"]
    modality: Modality
    vector: Float[Tensor, "batch embedding_dim"] | None = None

    def __len__(self) -> int:
        return self.hidden.shape[0]

    def __getitem__(self, rows: Tensor | slice | Sequence[int]) -> "TokenStates":
        """Selects rows in the given order; a row may be repeated. A tensor of rows may be on any device."""
        if isinstance(rows, Tensor):
            rows = rows.to(self.hidden.device)

        def taken(x: Tensor) -> Tensor:
            # The gradient of index_select is several times as fast as that of indexing
            return x.index_select(0, rows) if isinstance(rows, Tensor) else x[rows]

        vector = None if self.vector is None else taken(self.vector)
        return TokenStates(taken(self.hidden), taken(self.mask), self.modality, vector)

    @staticmethod
    def joined(parts: "Sequence[TokenStates]") -> "TokenStates":
        """Concatenates the rows of all parts, padded to the longest."""
        tokens = max(part.mask.shape[1] for part in parts)
        hidden = torch.cat([F.pad(part.hidden, (0, 0, 0, tokens - part.mask.shape[1])) for part in parts])
        mask = torch.cat([F.pad(part.mask, (0, tokens - part.mask.shape[1])) for part in parts])
        vectors = [part.vector for part in parts if part.vector is not None]
        return TokenStates(hidden, mask, parts[0].modality, torch.cat(vectors) if vectors else None)

    def trimmed(self) -> "TokenStates":
        """Drops the columns that are padding in every row; padding must follow the real tokens."""
        longest = int(self.mask.sum(dim=1).max())
        return TokenStates(self.hidden[:, :longest], self.mask[:, :longest], self.modality, self.vector)

    def store(self) -> list[StoredStates]:
        """Returns one `StoredStates` per row, without padding.

        States are quantized symmetrically to 8 bits with one float16 scale per token; the vector is kept in float32.
        """
        hidden = self.hidden.detach().float().cpu()
        scales = (hidden.abs().amax(dim=-1) / 127).clamp_min(1e-8).to(torch.float16).clamp_min(2**-24)
        values = (hidden / scales.float().unsqueeze(-1)).round().clamp(-127, 127).to(torch.int8)
        vectors = [None] * len(self) if self.vector is None else list(self.vector.detach().float().cpu().numpy())
        return [
            StoredStates(value[keep].numpy(), scale[keep].numpy(), vector)
            for value, scale, keep, vector in zip(values, scales, self.mask.cpu(), vectors, strict=True)
        ]

    @staticmethod
    def load(
        stored: Sequence[StoredStates],
        modality: Modality,
        device: torch.device | str,
        dtype: torch.dtype = torch.float32,
    ) -> "TokenStates":
        """Makes a batch of stored rows, padded to the longest.

        device: of all tensors, that of the model that reads them. dtype: of the states; vectors stay float32.
        """
        tokens = max(len(row.scales) for row in stored)
        hidden = np.zeros((len(stored), tokens, stored[0].values.shape[1]), np.float32)
        mask = np.zeros((len(stored), tokens), bool)
        for i, row in enumerate(stored):
            hidden[i, : len(row.scales)] = row.values * row.scales[:, None].astype(np.float32)
            mask[i, : len(row.scales)] = True
        vectors = [row.vector for row in stored if row.vector is not None]
        return TokenStates(
            torch.from_numpy(hidden).to(device, dtype),
            torch.from_numpy(mask).to(device),
            modality,
            torch.from_numpy(np.stack(vectors)).to(device) if vectors else None,
        )
