"""Measures of ranked lists. Recall is in percent; a query without a right item in its list is a miss."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polyglance.models.protocol import JointModel
from polyglance.nn.states import TokenStates

PAIRS = 2048
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
    """The twin encoder alone: the nearest of the pool by cosine, and those cosines."""
    scores, order = (queries @ pool.T).topk(min(candidates, len(pool)), dim=1)
    return Ranking(order), scores


def rerank(
    model: JointModel, queries: TokenStates, pool: TokenStates, found: Ranking, queries_are_text: bool
) -> Ranking:
    """The cross-encoder over the candidates of the twin encoder (cooperative: arXiv:2103.11920, section 3.3)."""
    rows, columns = found.order.shape
    flat_queries = torch.arange(rows).repeat_interleave(columns)
    flat_items = found.order.flatten()
    scores = []
    for q, i in zip(flat_queries.split(PAIRS), flat_items.split(PAIRS), strict=True):
        pair = (queries[q], pool[i]) if queries_are_text else (pool[i], queries[q])
        scores.append(model.match(*pair))
    order = torch.cat(scores).view(rows, columns).argsort(dim=1, descending=True, stable=True)
    return Ranking(found.order.gather(1, order))


def read_texts(model: JointModel, texts: Sequence[str], batch: int = 256) -> TokenStates:
    """The states of many texts, padded to the longest."""
    parts = [model.read_text(model.tokenize(texts[i : i + batch])) for i in range(0, len(texts), batch)]
    tokens = max(part.mask.shape[1] for part in parts)
    hidden = torch.cat([torch.nn.functional.pad(p.hidden, (0, 0, 0, tokens - p.mask.shape[1])) for p in parts])
    mask = torch.cat([torch.nn.functional.pad(p.mask, (0, tokens - p.mask.shape[1])) for p in parts])
    return TokenStates(hidden, mask, "text")


def embed_all(model: JointModel, states: TokenStates, batch: int = 512) -> Float[Tensor, "rows dim"]:
    """The vectors of many states."""
    return torch.cat([model.embed(states[i : i + batch]) for i in range(0, len(states), batch)])
