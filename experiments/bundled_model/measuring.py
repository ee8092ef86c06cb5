"""What the configuration of a trained model says of its matches: how probable they are, and how good at each depth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from experiments.calibration import CANDIDATES, Searches, search_scenes
from polyglance.data.captions import read_captions
from polyglance.evaluation.calibration import fit_calibration
from polyglance.evaluation.retrieval import match, retrieve
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.reading import embed_all, read_readable, read_texts
from polyglance.scenes.sampling import FIRST_SEED


def measure(model: SingleStreamModel, clip_art: Path, pictures: int, queries: int) -> None:
    """Sets the calibration of matches and the recall by drop depth in the model's configuration.

    The calibration is fitted to searches for validation scenes and for validation pictures of clip art alike; half of
    the searches for scenes, and of those for clip art, are in vain.

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
    """Searches the pictures of the splits train and val for the titles of val; every second one is not in the pool."""
    captions = [one for one in read_captions(folder / "captions.jsonl") if one.split in ("train", "val")]
    asked = [one for one in captions if one.split == "val"]
    away = {one.image for one in asked[::2]}
    images = [Path(image) for image in dict.fromkeys(one.image for one in captions) if image not in away]
    states, failed = read_readable(model, images, as_stored=True)
    images = [image for image in images if image not in failed]
    texts = read_texts(model, [one.caption for one in asked])
    found, _ = retrieve(embed_all(model, texts), embed_all(model, states), min(CANDIDATES, len(images)))
    logits = match(model, texts, states, found.order, queries_are_text=True)
    row = {image: number for number, image in enumerate(images)}
    true = found.order == torch.tensor([row.get(Path(one.image), -1) for one in asked])[:, None]
    present = np.array([Path(one.image) in row for one in asked])
    return Searches(logits[None].double().numpy(), true.numpy(), present)
