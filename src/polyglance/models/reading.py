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
    states, failed = read_readable(model, paths, progress)
    require_none(failed)
    return states


def read_readable(
    model: JointModel, paths: Sequence[Path], progress: Progress | None = None, as_stored: bool = False
) -> tuple[TokenStates, dict[Path, str]]:
    """(the token states of those picture files that can be read, a row each; the reason for each of the others).

    as_stored: round the states to 8 bits, as a library keeps them. Raises DataError if none can be read.
    """
    parts: list[TokenStates] = []
    failed: dict[Path, str] = {}
    if progress:
        progress(0, len(paths))
    for start in range(0, len(paths), PICTURES):
        pictures, wrong = try_pictures(model, paths[start : start + PICTURES])
        failed |= wrong
        if pictures:
            states = model.read_images(image_batch(pictures))
            parts.append(TokenStates.load(states.store(), "image") if as_stored else states)
        if progress:
            progress(min(start + PICTURES, len(paths)), len(paths))
    if not parts:
        require_none(failed)
    return together(parts), failed


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
