"""The two stages of a search over a whole pool: retrieval by vectors, reranking by the joint layers."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polyglance.models.capabilities import as_embedder
from polyglance.models.protocol import Matcher
from polyglance.models.reading import embed_all
from polyglance.nn.states import TokenStates

PAIRS: Final = 2048
"""The number of pairs in one pass of the joint layers."""


@dataclass(frozen=True)
class Ranking:
    """The ranked items of a pool for each query. order: (queries, ranked), best first."""

    order: Int[Tensor, "queries ranked"]

    def recall(self, right: Int[Tensor, " queries"], at: int) -> float:
        """Returns the percentage of queries with their right item among the first `at`."""
        return 100 * (self.order[:, :at] == right[:, None]).any(dim=1).float().mean().item()


def retrieve(
    queries: Float[Tensor, "queries dim"], pool: Float[Tensor, "pool dim"], candidates: int
) -> tuple[Ranking, Float[Tensor, "queries candidates"]]:
    """Ranks a pool by the twin encoder alone and returns the nearest items and their cosines, both on the CPU."""
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
    """Returns the logit of each query with each of its candidates, on the CPU: that of the cross-encoder, plus what the
    cosine weighs in it, see `Matcher.cosine_weight`. depth: as in `Matcher.match`."""
    rows, columns = chosen.shape
    asking, asked = torch.arange(rows).repeat_interleave(columns), chosen.flatten()
    texts, told = (queries, asking) if queries_are_text else (pool, asked)
    by_length = texts.mask.sum(dim=1).cpu()[told].argsort()  # attention then sees little padding
    scores = []
    for some in by_length.split(PAIRS):
        pairs = queries[asking[some]].trimmed(), pool[asked[some]].trimmed()
        scores.append(model.match(*(pairs if queries_are_text else pairs[::-1]), depth=depth).float().cpu())
    logits = torch.cat(scores)[by_length.argsort()].view(rows, columns)
    if not model.cosine_weight:
        return logits
    items, places = chosen.unique(return_inverse=True)
    of_queries, of_items = (embed_all(as_embedder(model), states).cpu() for states in (queries, pool[items]))
    return logits + model.cosine_weight * (of_queries @ of_items.T).gather(1, places)


def rerank(model: Matcher, queries: TokenStates, pool: TokenStates, found: Ranking, queries_are_text: bool) -> Ranking:
    """Reranks the candidates of the twin encoder by the cross-encoder (cooperative, arXiv:2103.11920, section 3.3)."""
    return reordered(found, match(model, queries, pool, found.order, queries_are_text))


def reordered(found: Ranking, scores: Float[Tensor, "queries candidates"]) -> Ranking:
    """Sorts the first items of each list by their scores; items without a score follow in the old order."""
    candidates = scores.shape[1]
    order = found.order[:, :candidates].gather(1, scores.argsort(dim=1, descending=True, stable=True))
    return Ranking(torch.cat([order, found.order[:, candidates:]], dim=1))


def blended(
    logits: Float[Tensor, "queries candidates"], cosines: Float[Tensor, "queries candidates"], blend: float
) -> Float[Tensor, "queries candidates"]:
    """Mixes the probability of each match with the cosine. logits: calibrated, because the probabilities of large ones
    are all 1. blend: the share of the cosine."""
    return (1 - blend) * torch.sigmoid(logits) + blend * cosines
