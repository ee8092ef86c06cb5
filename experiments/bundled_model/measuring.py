"""What the configuration of a trained model says of its matches: how probable they are, and how good at each depth."""

from dataclasses import replace

import numpy as np

from experiments.calibration import FITTED, search_scenes, seeds_of_search
from polyglance.evaluation.calibration import fit_calibration
from polyglance.models.families.single_stream import SingleStreamModel


def measure(model: SingleStreamModel, pictures: int, queries: int) -> None:
    """Sets the calibration of matches and the recall by drop depth in the model's configuration.

    Both come from searches for validation scenes, half of which are in vain.

    pictures, queries: see `search_scenes`.
    """
    assert seeds_of_search(FITTED.start, pictures, queries).stop <= FITTED.stop
    searches = search_scenes(model, FITTED.start, pictures, queries)
    line = fit_calibration(searches.logits.ravel(), searches.true.ravel())
    best = searches.by_depth.argmax(axis=2)[..., None]
    found = np.take_along_axis(searches.true[None], best, axis=2)[:, searches.present]
    recalls = tuple(round(100 * share, 2) for share in found.mean(axis=(1, 2)).tolist())
    if line[0] <= 0:  # matches that say nothing, as those of a model that is hardly trained
        line = model.config.calibration
    model.config = replace(model.config, calibration=line, recall_by_depth=recalls)
