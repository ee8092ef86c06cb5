"""The line that makes probabilities of logits, and how far these are from the truth."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polyglance.errors import DataError
from polyglance.evaluation.calibration import calibrated, calibration_error, fit_calibration, reliability
from polyglance.evaluation.pools import Pool
from polyglance.evaluation.systems import Evaluation, System
from tests.fakes import COLOURS, ColourModel


def drawn(slope: float, offset: float, count: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and truths that are as probable as sigmoid(slope * logit + offset)."""
    rng = np.random.default_rng(0)
    logits = rng.normal(-2, 4, count)
    return logits, rng.random(count) < 1 / (1 + np.exp(-(slope * logits + offset)))


@pytest.mark.parametrize(("slope", "offset"), [(1, 0), (0.4, -1.5), (3, 2), (1e-3, -3)])
def test_the_line_that_the_truths_were_drawn_by_is_found(slope: float, offset: float):
    found = fit_calibration(*drawn(slope, offset))
    assert found == pytest.approx((slope, offset), rel=0.1, abs=0.02)


def test_the_line_is_the_likeliest():
    logits, true = drawn(0.5, -1, 500)
    positive = true.sum()
    target = np.where(true, (positive + 1) / (positive + 2), 1 / (len(true) - positive + 2))

    def loss(slope: float, offset: float) -> float:
        x = slope * logits + offset
        return float((np.logaddexp(0, x) - target * x).sum())

    slope, offset = fit_calibration(logits, true)
    best = loss(slope, offset)
    for away in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)):
        assert loss(slope + away[0], offset + away[1]) > best


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_logits_that_part_true_from_false_give_a_finite_line(scale: float):
    logits = scale * np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
    slope, offset = fit_calibration(logits, logits > 0)
    assert 0 < slope < 10
    assert offset == pytest.approx(0, abs=1e-6)


def test_one_true_pair_is_enough():
    slope, _ = fit_calibration(np.array([3.0, -1.0, -2.0]), np.array([True, False, False]))
    assert 0 < slope < 10


@pytest.mark.parametrize("true", [True, False])
def test_pairs_of_one_kind_are_refused(true: bool):
    with pytest.raises(DataError, match="true and false matches"):
        fit_calibration(np.zeros(3), np.full(3, true))


def test_probabilities_that_are_kept_have_no_error_and_others_do():
    probabilities = np.repeat([0.05, 0.5, 1.0], [20, 10, 10])
    true = np.concatenate([np.arange(20) < 1, np.arange(10) < 5, np.full(10, True)])
    assert calibration_error(probabilities, true) == pytest.approx(0)
    assert calibration_error(probabilities, ~true) == pytest.approx((20 * 0.9 + 10 * 1.0) / 40)
    bins = reliability(probabilities, true)
    assert [(one.count, one.true) for one in bins] == [(20, 0.05), (10, 0.5), (10, 1)]
    assert [one.probability for one in bins] == pytest.approx([0.05, 0.5, 1])


def test_the_highest_tenths_are_told_apart():
    bins = reliability(np.array([0.85, 0.95, 1.0]), np.array([False, True, True]))
    assert [(one.count, one.true) for one in bins] == [(1, 0), (2, 1)]


def test_a_fitted_line_has_less_error_than_the_logits_own():
    logits, true = drawn(0.3, -1)
    slope, offset = fit_calibration(logits, true)
    before, after = (1 / (1 + np.exp(-x)) for x in (logits, slope * logits + offset))
    assert calibration_error(after, true) < 0.01 < 0.1 < calibration_error(before, true)


def test_the_line_of_a_system_is_fitted_to_its_candidates(tmp_path: Path):
    images = tuple(tmp_path / f"{name}.png" for name in COLOURS)
    for image in images:
        Image.new("RGB", (8, 8), image.stem).save(image)
    pool = Pool("en", (*COLOURS, *COLOURS), images, tuple((place,) for place in range(len(images))) * 2)
    model = ColourModel()
    for system in (System(model, model, 3), System(None, model, 3)):
        evaluation = Evaluation(system, [pool])
        logits, true = evaluation.logits(pool)
        assert logits.shape == (8, 3)
        assert logits[:, 0].tolist() == pytest.approx([4] * 8, abs=0.1)
        assert true.sum(dim=1).tolist() == [1] * 8
        pairs = np.array([4.0] * 4 + [-4.0] * 16)
        assert calibrated(evaluation) == pytest.approx(fit_calibration(pairs, pairs > 0), rel=0.05)
    backwards = Pool("en", tuple(COLOURS), images, ((1,), (0,), (3,), (2,)))
    assert calibrated(Evaluation(System(None, model, 4), [backwards])) is None
    assert calibrated(Evaluation(System(None, model, 1), [pool])) is None
