"""Measures text-to-image retrieval over the emoji gallery, with words and pictures that others made.

    python -m experiments.emoji [--model NAME_OR_FOLDER] [--output FOLDER]

There are three kinds of query in each language: names seen in training, names held out of training, and all keywords of
a picture except its name, which no training ever saw. The pool is all 1,470 pictures.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from experiments.results import RESULTS, Row, write_results
from polyglance.data.gallery import gallery
from polyglance.data.images import decode
from polyglance.evaluation.retrieval import rerank, retrieve
from polyglance.models import BUNDLED, load_model
from polyglance.models.families.cut_model import CutModel
from polyglance.models.protocol import ImageBatch
from polyglance.models.reading import embed_all, read_texts
from polyglance.nn.states import TokenStates
from polyglance.scenes.world import EMOJI_OF

CANDIDATES = 20


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=BUNDLED)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    started = time.time()
    model = load_model(arguments.model)
    states = read_gallery(model)
    pictures = embed_all(model, states)
    rows: list[Row] = []
    for kind in ("seen names", "held-out names", "keywords"):
        for language in model.languages:
            asked = queries(kind, language)
            right = torch.tensor([row for row, _ in asked])
            texts = read_texts(model, [text for _, text in asked])
            twin, _ = retrieve(embed_all(model, texts), pictures, CANDIDATES)
            coop = rerank(model, texts, states, twin, queries_are_text=True)
            for system, ranking in (("twin", twin), ("coop", coop)):
                recalls = {f"R@{at}": round(ranking.recall(right, at), 2) for at in (1, 10)}
                rows.append({"queries": kind, "language": language, "system": system, "count": len(asked), **recalls})
                print(*rows[-1].values())
    print(f"wrote {write_results('emoji', rows, 0, started, arguments.output)}")


if __name__ == "__main__":
    main()
