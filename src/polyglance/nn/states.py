"""Token states: what reading returns and everything else takes."""

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
    """Hidden states at the cut, of texts or of pictures, after compression.

    hidden: (batch, tokens, width). mask: (batch, tokens), True for a real token, False for padding. vector: what a
    model gives that embeds below the cut, before compression; None where the states themselves are embedded.
    """

    hidden: Float[Tensor, "batch tokens width"]
    mask: Bool[Tensor, "batch tokens"]
    modality: Modality
    vector: Float[Tensor, "batch embedding_dim"] | None = None

    def __len__(self) -> int:
        return self.hidden.shape[0]

    def __getitem__(self, rows: Tensor | slice | Sequence[int]) -> "TokenStates":
        """Some of the rows, in the order given; a row may come more than once. A tensor of rows may be anywhere."""
        if isinstance(rows, Tensor):
            rows = rows.to(self.hidden.device)

        def taken(x: Tensor) -> Tensor:
            # Whose gradient is several times as fast as that of indexing
            return x.index_select(0, rows) if isinstance(rows, Tensor) else x[rows]

        vector = None if self.vector is None else taken(self.vector)
        return TokenStates(taken(self.hidden), taken(self.mask), self.modality, vector)

    @staticmethod
    def joined(parts: "Sequence[TokenStates]") -> "TokenStates":
        """The rows of all parts, one below the other, padded to the longest."""
        tokens = max(part.mask.shape[1] for part in parts)
        hidden = torch.cat([F.pad(part.hidden, (0, 0, 0, tokens - part.mask.shape[1])) for part in parts])
        mask = torch.cat([F.pad(part.mask, (0, tokens - part.mask.shape[1])) for part in parts])
        vectors = [part.vector for part in parts if part.vector is not None]
        return TokenStates(hidden, mask, parts[0].modality, torch.cat(vectors) if vectors else None)

    def trimmed(self) -> "TokenStates":
        """Without the columns that are padding in every row; padding stands behind the real tokens."""
        longest = int(self.mask.sum(dim=1).max())
        return TokenStates(self.hidden[:, :longest], self.mask[:, :longest], self.modality, self.vector)

    def store(self) -> list[StoredStates]:
        """One `StoredStates` a row, without its padding: symmetric rounding to 8 bits, one scale a token; the vector as
        it is."""
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
        """The batch of these rows, padded to the longest, where the model that is given them has its weights."""
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
