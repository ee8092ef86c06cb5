"""Sentence vectors of multilingual-e5-small, which the text side learns to give. They are computed once and kept."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from experiments.weights.folders import weights_folder
from polyglance import atomic
from polyglance.training.devices import fastest_device
from polyglance.types import Progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

NAME: Final = "multilingual-e5-small"
_PROMPT: Final = "query: "
_PART: Final = 4096


@cache
def _teacher() -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(weights_folder(NAME)), device=str(fastest_device()))


def sentence_vectors(
    texts: Sequence[str], folder: Path, progress: Progress | None = None
) -> Float[Tensor, "texts 384"]:
    """Returns unit vectors, float32. Those of every 4,096 texts are kept in a file of the folder.

    progress: called with the number of texts done and of all.
    """
    parts = []
    for start in range(0, len(texts), _PART):
        part = texts[start : start + _PART]
        path = folder / f"{sha256(chr(0).join(part).encode()).hexdigest()[:16]}.safetensors"
        if not path.exists():
            found = _teacher().encode(
                list(part), prompt=_PROMPT, batch_size=128, normalize_embeddings=True, convert_to_tensor=True
            )
            with atomic.whole(path) as draft:
                save_file({"vectors": found.half().cpu().contiguous()}, draft)
        parts.append(load_file(path)["vectors"].float())
        if progress:
            progress(min(start + _PART, len(texts)), len(texts))
    return torch.cat(parts)
