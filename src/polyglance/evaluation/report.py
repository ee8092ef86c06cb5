"""Reports of retrieval evaluations, as the commands print them."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, get_args

from polyglance.evaluation.measures import MEASURES, Difference
from polyglance.evaluation.pools import Direction
from polyglance.evaluation.runs import Scores

RECALLS = ("R@1", "R@5", "R@10")


def retrieval_report(scores: Sequence[Scores], milliseconds: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Returns measures in percent: the mean over languages, and those of each language with 95 % intervals.

    missing: the number of queries without a result. missing_queries: these queries by language and direction.
    mean_recall, rsum: the mean and the sum of R@1, R@5 and R@10 in both directions, if both were run.
    """
    directions: tuple[Direction, ...] = get_args(Direction)
    return {
        "queries": sum(len(one.judged) for one in scores),
        "missing": sum(len(one.missing) for one in scores),
        "missing_queries": [
            {"language": one.language, "direction": one.direction, "query": query}
            for one in scores
            for query in one.missing
        ],
        **{direction: _mean([one for one in scores if one.direction == direction]) for direction in directions},
        **_summary(scores),
        "by_language": {
            language: {
                **{one.direction: _with_intervals(one) for one in scores if one.language == language},
                **_summary([one for one in scores if one.language == language]),
            }
            for language in dict.fromkeys(one.language for one in scores)
        },
        "milliseconds": dict(milliseconds or {}),
    }


def comparison_report(languages: Mapping[str, Mapping[str, Difference]]) -> dict[str, Any]:
    """Returns B minus A in percentage points, by language and measure."""
    return {
        language: {
            name: {
                "difference": _rounded(one.interval.mean),
                "interval": [_rounded(one.interval.low), _rounded(one.interval.high)],
                "likely_noise": one.likely_noise,
            }
            for name, one in differences.items()
        }
        for language, differences in languages.items()
    }


def _mean(scores: Sequence[Scores]) -> dict[str, float] | None:
    if not scores:
        return None
    return {name: _rounded(fmean(one.percent[name] for one in scores)) for name in MEASURES}


def _summary(scores: Sequence[Scores]) -> dict[str, float]:
    means = [_mean([one for one in scores if one.direction == direction]) for direction in get_args(Direction)]
    recalls = [mean[name] for mean in means if mean for name in RECALLS]
    if len(recalls) < 2 * len(RECALLS):
        return {}
    return {"mean_recall": _rounded(fmean(recalls)), "rsum": _rounded(sum(recalls))}


def _with_intervals(one: Scores) -> dict[str, Any]:
    intervals = {name: [_rounded(found.low), _rounded(found.high)] for name, found in one.intervals.items()}
    return {**{name: _rounded(value) for name, value in one.percent.items()}, "intervals": intervals}


def _rounded(value: float) -> float:
    """Rounds to a precision that still shows one query in a pool of 50,000, which is 0.002 percent."""
    return round(value, 4)
