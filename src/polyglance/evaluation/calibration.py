"""Calibration of matches: a linear map from a model's logits to log-odds, and how reliable probabilities are."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from polyglance.errors import DataError
from polyglance.evaluation.systems import Evaluation

BINS: Final = 10
_STEPS: Final = 100
_ENOUGH: Final = 1e-10


def fit_calibration(logits: Float[np.ndarray, " pairs"], true: Bool[np.ndarray, " pairs"]) -> tuple[float, float]:
    """Fits slope a and offset b of sigmoid(a logit + b) by maximum likelihood (Platt 1999).

    Platt's targets keep both finite if the logits separate true from false. The solver is the damped Newton method of
    Lin, Lin and Weng (2007).

    logits, true: of the candidates of realistic searches.

    Raises DataError if all candidates are true or none is.
    """
    positive = int(true.sum())
    if not 0 < positive < len(true):
        raise DataError(f"expected true and false matches to calibrate by, got {positive:,} true of {len(true):,}")
    x = np.asarray(logits, np.float64)
    target = np.where(true, (positive + 1) / (positive + 2), 1 / (len(true) - positive + 2))
    line = np.array([0.0, np.log((positive + 1) / (len(true) - positive + 1))])
    inputs = np.stack([x, np.ones_like(x)])
    for _ in range(_STEPS):
        probability = _sigmoid(line @ inputs)
        gradient = inputs @ (probability - target)
        curvature = (inputs * probability * (1 - probability)) @ inputs.T + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        loss, size = _loss(line @ inputs, target), 1.0
        while size > _ENOUGH and _loss((line - size * step) @ inputs, target) > loss - 1e-4 * size * gradient @ step:
            size /= 2
        if size <= _ENOUGH or np.abs(size * step).max() < _ENOUGH:
            break
        line = line - size * step
    return float(line[0]), float(line[1])


def calibrated(evaluation: Evaluation) -> tuple[float, float] | None:
    """Fits the calibration of a system's cross-encoder to the candidates of the texts in its pools.

    The right candidates of every second text are left out, as half of the searches are assumed to be in vain. Returns
    (slope, offset), or None if the logits carry no information.
    """
    parts = [evaluation.logits(pool) for pool in evaluation.pools]
    asked = [true.logical_not() | (torch.arange(len(true)) % 2 == 0)[:, None] for _, true in parts]
    logits = torch.cat([one[there] for (one, _), there in zip(parts, asked, strict=True)])
    true = torch.cat([one[there] for (_, one), there in zip(parts, asked, strict=True)])
    if not (true.any() and (~true).any()):
        return None
    slope, offset = fit_calibration(logits.double().numpy(), true.numpy())
    return (slope, offset) if slope > 0 else None


@dataclass(frozen=True)
class Bin:
    """Matches of similar probability. probability: their mean. true: the share that is true."""

    count: int
    probability: float
    true: float


def reliability(probabilities: Float[np.ndarray, " pairs"], true: Bool[np.ndarray, " pairs"]) -> list[Bin]:
    """Groups matches into `BINS` bins of equal width and returns the bins that are not empty."""
    place = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    there = [place == number for number in range(BINS)]
    return [
        Bin(int(some.sum()), float(probabilities[some].mean()), float(true[some].mean()))
        for some in there
        if some.any()
    ]


def calibration_error(probabilities: Float[np.ndarray, " pairs"], true: Bool[np.ndarray, " pairs"]) -> float:
    """Returns the expected calibration error (Naeini et al. 2015), from 0 to 1: the mean distance of probability and
    truth over the bins, weighted by size."""
    bins = reliability(probabilities, true)
    return sum(one.count * abs(one.probability - one.true) for one in bins) / len(true)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-np.logaddexp(0, -x))


def _loss(x: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Returns the negative log-likelihood."""
    return float((np.logaddexp(0, x) - target * x).sum())
