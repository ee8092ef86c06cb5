import math

import numpy as np
import pytest

from polyglance.evaluation.measures import MEASURES, Judged, difference, hit, interval, judge, ndcg, percent


def test_ranks_are_those_of_the_right_items() -> None:
    assert judge([7, 3, 9, 4], frozenset({3, 4, 8})) == Judged((2, 4), 3)
    assert judge([], frozenset({3})) == Judged((), 1)
    assert judge([5, 5, 3, 5], frozenset({3})) == Judged((2,), 1)


def test_measures_by_hand() -> None:
    judged = Judged((2, 4), 3)
    assert [hit(judged, at) for at in (1, 2, 5)] == [0, 1, 1]
    assert MEASURES["MRR"](judged) == 0.5
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert ndcg(judged, 10) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert ndcg(judged, 3) == pytest.approx(1 / math.log2(3) / ideal)
    assert ndcg(Judged((1, 2), 2), 10) == 1
    assert ndcg(Judged(tuple(range(1, 21)), 20), 10) == pytest.approx(1)
    assert set(percent([Judged((), 2)]).values()) == {0}


def test_means_are_over_all_queries() -> None:
    found = percent([Judged((1,), 1), Judged((), 1), Judged((3,), 1), Judged((11,), 1)])
    assert found["R@1"] == 25
    assert found["R@5"] == found["R@10"] == 50
    assert found["MRR"] == pytest.approx(100 * (1 + 1 / 3 + 1 / 11) / 4)


def test_an_interval_is_that_of_a_proportion() -> None:
    """Of 400 queries, half of them right, the normal approximation gives 50 +- 1.96 * 2.5."""
    found = interval([0.0, 1.0] * 200)
    assert found.mean == 50
    assert (found.low, found.high) == (pytest.approx(45.1, abs=0.6), pytest.approx(54.9, abs=0.6))
    assert interval([1.0] * 30).low == 100
    assert interval([0.0, 1.0] * 200) == found


def test_a_difference_is_paired() -> None:
    """The same queries, B right on ten more: the pairs know it, whatever the spread of each by itself."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2, 500).astype(float)
    b = a.copy()
    b[np.flatnonzero(a == 0)[:12]] = 1
    better = difference(a.tolist(), b.tolist())
    assert better.interval.mean == pytest.approx(2.4)
    assert not better.likely_noise
    assert difference(a.tolist(), a.tolist()).likely_noise
    assert difference(a.tolist(), rng.permutation(a).tolist()).likely_noise


def test_clusters_are_drawn_with_all_of_their_queries() -> None:
    """100 clusters of four queries that share an outcome are 100 trials, not 400: 50 +- 1.96 * 5."""
    outcomes = [0.0, 1.0] * 50
    values = [outcome for outcome in outcomes for _ in range(4)]
    clusters = [f"picture {number}" for number in range(100) for _ in range(4)]
    found = interval(values, clusters)
    assert found.mean == 50
    assert (found.low, found.high) == (pytest.approx(40.2, abs=1), pytest.approx(59.8, abs=1))
    assert interval(values).high - interval(values).low == pytest.approx((found.high - found.low) / 2, rel=0.1)
    assert interval(values, list(range(400))) == interval(values)
    assert interval([1.0, 0.0, 0.0], ["a", "b", "b"]).high == 100


def test_a_difference_is_clustered_as_well() -> None:
    """B is right on twelve more queries: twelve trials make that sure, one picture does not."""
    a, b = [0.0] * 100, [1.0] * 12 + [0.0] * 88
    apart, together = list(range(100)), ["one"] * 12 + list(range(88))
    assert not difference(a, b, apart).likely_noise
    assert difference(a, b, together).likely_noise
