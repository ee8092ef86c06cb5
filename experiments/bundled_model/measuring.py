"""What the configuration of a trained model says of its matches: how probable they are, and how good at each depth."""

import re
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np

from experiments.calibration import CANDIDATES, Searches, search_scenes
from polyglance.data.captions import Caption, of_split, read_captions
from polyglance.evaluation.calibration import fit_calibration
from polyglance.evaluation.retrieval import match, retrieve
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.reading import embed_all, read_readable, read_texts
from polyglance.scenes.sampling import FIRST_SEED

FEW: Final = 20
"""The number of pictures that a word may be said of and still tell them apart."""


def measure(model: SingleStreamModel, clip_art: Path, pictures: int, queries: int) -> None:
    """Sets the calibration of matches and the recall by drop depth in the model's configuration.

    The calibration is fitted to searches for validation scenes, half of which are in vain, and for validation pictures
    of clip art alike.

    clip_art: the folder of the pictures. pictures, queries: of the pool of scenes, see `search_scenes`.
    """
    scenes = search_scenes(model, FIRST_SEED["val"], pictures, queries)
    drawings = search_clip_art(model, clip_art)
    logits = np.concatenate([scenes.logits.ravel(), drawings.logits.ravel()])
    line = fit_calibration(logits, np.concatenate([scenes.true.ravel(), drawings.true.ravel()]))
    best = scenes.by_depth.argmax(axis=2)[..., None]
    found = np.take_along_axis(scenes.true[None], best, axis=2)[:, scenes.present]
    recalls = tuple(round(100 * share, 2) for share in found.mean(axis=(1, 2)).tolist())
    if line[0] <= 0:  # matches that say nothing, as those of a model that is hardly trained
        line = model.config.calibration
    model.config = replace(model.config, calibration=line, recall_by_depth=recalls)


def search_clip_art(model: SingleStreamModel, folder: Path) -> Searches:
    """Searches the pictures of the splits train and val for the titles of val.

    A picture is right if it is that of the title, or if its own title or keywords share a word with the title that few
    pictures have: whoever looks for "Green apple" is well served by "An apple".
    """
    titles = [one for one in read_captions(folder / "captions.jsonl") if one.split in ("train", "val")]
    asked = of_split(titles, "val")
    words: dict[Path, set[str]] = defaultdict(set)
    for one in (*titles, *read_captions(folder / "keywords.jsonl")):
        words[one.image] |= _words(one.caption)
    counts = Counter(chain.from_iterable(words.values()))
    states, failed = read_readable(model, list(words), as_stored=True)
    images = [image for image in words if image not in failed]
    texts = read_texts(model, [one.caption for one in asked])
    found, _ = retrieve(embed_all(model, texts), embed_all(model, states), min(CANDIDATES, len(images)))
    logits = match(model, texts, states, found.order, queries_are_text=True)

    def is_right(query: Caption, image: Path) -> bool:
        shared = _words(query.caption) & words[image]
        return image == query.image or any(counts[word] <= FEW for word in shared)

    true = [
        [is_right(query, images[row]) for row in rows] for query, rows in zip(asked, found.order.tolist(), strict=True)
    ]
    return Searches(logits[None].double().numpy(), np.array(true), np.full(len(asked), True))


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]{3,}", text.casefold()))
