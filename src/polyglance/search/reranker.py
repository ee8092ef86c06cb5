"""The second stage of a search: a cross-encoder reads the query with each candidate and reorders the candidates."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Generic, Protocol

import torch
from PIL.Image import Image

from polyglance.data.images import decode
from polyglance.errors import PictureError
from polyglance.models.protocol import Embedder, PairScorer
from polyglance.nn.states import TokenStates
from polyglance.search.terms import ReadTerm, like, log_odds, probabilities
from polyglance.store.protocols import AnyFacts, Hit, PictureFacts, StateStore
from polyglance.types import Modality

PAIRS_AT_ONCE: Final = 64
PICTURES_AT_ONCE: Final = 16
"""The number of pictures that are decoded together. A photograph takes about forty megabytes."""


class Reranker(Protocol[AnyFacts]):
    """Reorders the candidates of a search."""

    def rerank(self, terms: Sequence[ReadTerm], hits: Sequence[Hit[AnyFacts]]) -> list[tuple[Hit[AnyFacts], float]]:
        """Returns the hits with the probability that each fits the query, best first.

        Equally probable hits keep their order. A hit that cannot be opened is left out.
        """
        ...


@dataclass(frozen=True)
class StateReranker(Generic[AnyFacts]):
    """Reranks with the model itself, from stored token states, without opening a picture.

    modality: the modality of the candidates. depth: the drop depth, see `Matcher.match`.
    """

    model: Embedder
    states: StateStore
    modality: Modality
    depth: int = 0

    def rerank(self, terms: Sequence[ReadTerm], hits: Sequence[Hit[AnyFacts]]) -> list[tuple[Hit[AnyFacts], float]]:
        scores: list[float] = []
        for start in range(0, len(hits), PAIRS_AT_ONCE):
            some = hits[start : start + PAIRS_AT_ONCE]
            read = next(term.states.hidden for term in terms if term.states is not None)
            items = TokenStates.load(
                self.states.get([hit.facts.content for hit in some]), self.modality, read.device, read.dtype
            )
            cosines = torch.tensor([hit.score for hit in some]) * math.copysign(1, terms[0].weight)
            known = cosines if len(terms) == 1 else None  # of several terms, retrieval knows only their sum
            scores += probabilities(log_odds(self.model, terms, items, self.depth, known))
        return sorted(zip(hits, scores, strict=True), key=lambda pair: -pair[1])


@dataclass(frozen=True)
class PixelReranker:
    """Reranks with any cross-encoder, from the candidates' files.

    scorer: matches the texts of a query with the pictures. model: compares the pictures and vectors of a query with the
    candidates, by the vectors of the library's model. states: the token states of the candidates.
    """

    scorer: PairScorer
    model: Embedder
    states: StateStore

    def rerank(
        self, terms: Sequence[ReadTerm], hits: Sequence[Hit[PictureFacts]]
    ) -> list[tuple[Hit[PictureFacts], float]]:
        found: list[tuple[Hit[PictureFacts], float]] = []
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(hits), PICTURES_AT_ONCE):
                some = hits[start : start + PICTURES_AT_ONCE]
                images = pool.map(_opened, [hit.facts.path for hit in some])
                found += self._judged(terms, [(hit, image) for hit, image in zip(some, images, strict=True) if image])
        return sorted(found, key=lambda pair: -pair[1])

    def _judged(
        self, terms: Sequence[ReadTerm], seen: Sequence[tuple[Hit[PictureFacts], Image]]
    ) -> list[tuple[Hit[PictureFacts], float]]:
        if not seen:
            return []
        hits, images = zip(*seen, strict=True)
        total = torch.zeros(len(hits))
        for term in terms:
            if term.text is not None:
                odds = self.scorer.log_odds([term.text] * len(hits), images)
            else:
                stored = self.states.get([hit.facts.content for hit in hits])
                vectors = self.model.embed(TokenStates.load(stored, "image", self.model.device))
                odds = like(vectors, term.vector.to(vectors.device))
            total += term.weight * odds.float().cpu()
        return list(zip(hits, probabilities(total), strict=True))


def _opened(path: str) -> Image | None:
    try:
        return decode(path)
    except PictureError:
        return None
