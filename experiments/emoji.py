"""The emoji gallery as pictures to be found by words that others wrote."""

import numpy as np
import torch

from polyglance.data.gallery import gallery
from polyglance.data.images import decode
from polyglance.models.families.cut_model import CutModel
from polyglance.models.protocol import ImageBatch
from polyglance.nn.states import TokenStates
from polyglance.scenes.world import EMOJI_OF


def read_gallery(model: CutModel, batch: int = 50) -> TokenStates:
    """Returns the gallery's states as a library returns them."""
    stored = []
    entries = gallery()
    for start in range(0, len(entries), batch):
        pictures = [model.preprocess(decode(entry.path)) for entry in entries[start : start + batch]]
        stored += model.read_images(ImageBatch(torch.from_numpy(np.stack(pictures)))).store()
    return TokenStates.load(stored, "image", "cpu")


def queries(kind: str, language: str) -> list[tuple[int, str]]:
    """Returns (row of the gallery, text) for one kind of query: `seen names`, `held-out names` or `keywords`.

    Names of emoji that scenes show are of neither kind if they are held out: captions of scenes name these things.
    """
    found = []
    shown = set(EMOJI_OF.values())
    for row, entry in enumerate(gallery()):
        name = entry.names[language]
        if kind == "keywords":
            words = [word for word in entry.keywords[language] if word != name]
            found += [(row, ", ".join(words))] if words else []
        elif not entry.name_is_held_out(language):
            found += [(row, name)] if kind == "seen names" else []
        elif kind == "held-out names" and entry.id not in shown:
            found.append((row, name))
    return found
