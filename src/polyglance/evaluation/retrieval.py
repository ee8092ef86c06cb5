"""The two stages over a whole pool at once: retrieve by vectors, rerank by the joint layers."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polyglance.models.protocol import Matcher
from polyglance.nn.states import TokenStates

PAIRS: Final = 2048
"""Pairs in one pass of the joint layers."""


@dataclass(frozen=True)
class Ranking:
    """For each query the items of a pool, best first. order: (queries, ranked)."""

    order: Int[Tensor, "queries ranked"]

    def recall(self, right: Int[Tensor, " queries"], at: int) -> float:
        """R@at: percent of the queries whose right item is among the first `at`."""
        return 100 * (self.order[:, :at] == right[:, None]).any(dim=1).float().mean().item()


def retrieve(
    queries: Float[Tensor, "queries dim"], pool: Float[Tensor, "pool dim"], candidates: int
) -> tuple[Ranking, Float[Tensor, "queries candidates"]]:
    """The twin encoder alone: the nearest of the pool by cosine, and those cosines; both on the CPU."""
    scores, order = (queries @ pool.T).topk(min(candidates, len(pool)), dim=1)
    return Ranking(order.cpu()), scores.cpu()


def match(
    model: Matcher,
    queries: TokenStates,
    pool: TokenStates,
    chosen: Int[Tensor, "queries candidates"],
    queries_are_text: bool,
    depth: int = 0,
) -> Float[Tensor, "queries candidates"]:
    """The cross-encoder's logit of each query with each of its candidates, on the CPU. depth: see `Matcher.match`."""
    rows, columns = chosen.shape
    scores = []
    for q, i in zip(
        torch.arange(rows).repeat_interleave(columns).split(PAIRS), chosen.flatten().split(PAIRS), strict=True
    ):
        asking, asked = queries[q].trimmed(), pool[i].trimmed()
        pairs = (asking, asked) if queries_are_text else (asked, asking)
        scores.append(model.match(*pairs, depth=depth).float().cpu())
    return torch.cat(scores).view(rows, columns)


def rerank(model: Matcher, queries: TokenStates, pool: TokenStates, found: Ranking, queries_are_text: bool) -> Ranking:
    """The cross-encoder over the candidates of the twin encoder (cooperative: arXiv:2103.11920, section 3.3)."""
    return reordered(found, match(model, queries, pool, found.order, queries_are_text))


def reordered(found: Ranking, scores: Float[Tensor, "queries candidates"]) -> Ranking:
    """The first items of each list, as many as have scores, best first; behind them the others as they were."""
    candidates = scores.shape[1]
    order = found.order[:, :candidates].gather(1, scores.argsort(dim=1, descending=True, stable=True))
    return Ranking(torch.cat([order, found.order[:, candidates:]], dim=1))


def blended(
    logits: Float[Tensor, "queries candidates"], cosines: Float[Tensor, "queries candidates"], blend: float
) -> Float[Tensor, "queries candidates"]:
    """The probability of each match with a share `blend` of the cosine mixed in."""
    return (1 - blend) * torch.sigmoid(logits) + blend * cosines
