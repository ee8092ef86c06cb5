"""Many pictures and texts read by a model, in batches."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from polyglance.models.opening import image_batch, require_none, try_pictures
from polyglance.models.protocol import JointModel
from polyglance.nn.states import TokenStates

PICTURES: Final = 32
TEXTS: Final = 256
VECTORS: Final = 512

Progress = Callable[[int, int], None]
"""Called with how many are done, and of how many."""


def read_pictures(model: JointModel, paths: Sequence[Path], progress: Progress | None = None) -> TokenStates:
    """The token states of picture files, a row each. Raises DataError that names all that cannot be read."""
    parts: list[TokenStates] = []
    failed: list[str] = []
    for start in range(0, len(paths), PICTURES):
        pictures, wrong = try_pictures(model, paths[start : start + PICTURES])
        failed += wrong
        if not failed:
            parts.append(model.read_images(image_batch(pictures)))
        if progress:
            progress(min(start + PICTURES, len(paths)), len(paths))
    require_none(failed)
    return together(parts)


def read_texts(model: JointModel, texts: Sequence[str], languages: Sequence[str] = ()) -> TokenStates:
    """The states of texts, a row each, padded to the longest. languages: as of `JointModel.tokenize`."""
    parts = [slice(i, i + TEXTS) for i in range(0, len(texts), TEXTS)]
    return together([model.read_text(model.tokenize(texts[part], languages[part])) for part in parts])


def embed_all(model: JointModel, states: TokenStates) -> Float[Tensor, "rows dim"]:
    """The vectors of many states."""
    return torch.cat([model.embed(states[i : i + VECTORS]) for i in range(0, len(states), VECTORS)])


def together(parts: Sequence[TokenStates]) -> TokenStates:
    """The rows of all, one below the other, padded to the longest."""
    tokens = max(part.mask.shape[1] for part in parts)
    hidden = torch.cat([F.pad(part.hidden, (0, 0, 0, tokens - part.mask.shape[1])) for part in parts])
    mask = torch.cat([F.pad(part.mask, (0, tokens - part.mask.shape[1])) for part in parts])
    vectors = [part.vector for part in parts if part.vector is not None]
    return TokenStates(hidden, mask, parts[0].modality, torch.cat(vectors) if vectors else None)
