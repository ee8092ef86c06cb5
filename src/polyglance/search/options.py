"""The options of a search, and the checks of their values and combinations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from polyglance.errors import ConfigurationError, QueryError
from polyglance.query import Query
from polyglance.search.pipeline import SearchPipeline
from polyglance.search.terms import matched


@dataclass(frozen=True)
class SearchOptions:
    """The options of `Library.search`, which documents them."""

    k: int
    candidates: int | None
    language: str
    rerank: bool
    min_score: float | None
    budget_ms: float | None

    def check(self, queries: Sequence[Query], pipeline: SearchPipeline[Any, Any]) -> None:
        """Checks the options.

        Raises:
            ConfigurationError: a value or a combination of values is not allowed.
            QueryError: `min_score` is set, and a query has no part that can be matched with the items.
        """
        require_at_least(1, self.k, "k")
        require_at_least(0, self.candidates or 0, "candidates")
        if self.min_score is not None:
            self._check_min_score(self.min_score, queries, pipeline)
        if self.budget_ms is not None:
            self._check_budget(self.budget_ms, pipeline)

    def _check_min_score(self, min_score: float, queries: Sequence[Query], pipeline: SearchPipeline[Any, Any]) -> None:
        if not 0 <= min_score <= 1:
            raise ConfigurationError(f"expected min_score to be a probability from 0 to 1, got {min_score:g}")
        if not (self.rerank and pipeline.reranks) or self.candidates == 0:
            raise ConfigurationError(
                "expected reranking with min_score: what was only retrieved has no probability to fit"
            )
        if not all(matched(query, pipeline.modality) for query in queries):
            raise QueryError(
                "expected a text and a picture with min_score, one to search for and one to be found: "
                "two of a kind are compared by their vectors and have no probability to fit"
            )

    def _check_budget(self, budget_ms: float, pipeline: SearchPipeline[Any, Any]) -> None:
        if not 0 <= budget_ms < math.inf:
            raise ConfigurationError(f"expected a budget of 0 milliseconds or more, got {budget_ms}")
        if self.candidates is not None or not self.rerank:
            raise ConfigurationError("expected a budget, or a number of candidates, or no reranking: one of them")
        if pipeline.reranker:
            raise ConfigurationError(
                "expected a budget of time for the library's own model, but another reranks: "
                "name a number of candidates instead"
            )


def require_at_least(least: int, value: int, name: str) -> None:
    """Raises ConfigurationError if `value` is less than `least`."""
    if value < least:
        raise ConfigurationError(f"expected {name} of at least {least}, got {value}")
