"""Retrieve, then rerank: a query in, a ranked list of pictures or texts out, with the time of each stage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Generic

from polyglance.models.protocol import JointModel
from polyglance.nn.states import TokenStates
from polyglance.query import PictureSource, Query
from polyglance.search.reranker import Reranker, StateReranker
from polyglance.search.retriever import Retriever
from polyglance.search.terms import ReadTerm, query_vector
from polyglance.store.protocols import AnyFacts, Hit, PictureFacts, StateStore, TextFacts, VectorStore
from polyglance.types import Modality, Result, SearchResponse, SearchResult, TextResult


@dataclass(frozen=True)
class SearchPipeline(Generic[AnyFacts, Result]):
    """One model in both stages, reading the query once for both of them ("joint" of arXiv:2103.11920); or one to
    retrieve, and another reranker ("separate").

    items: what is searched, of one modality. result: makes a result of an item's facts, its score, its retrieval score
    and its rank. read_picture: the states of a picture of the query. reranker: where it is not the model.
    """

    model: JointModel
    items: VectorStore[AnyFacts]
    modality: Modality
    result: Callable[[AnyFacts, float | None, float, int], Result]
    states: StateStore
    read_picture: Callable[[PictureSource], TokenStates]
    reranker: Reranker[AnyFacts] | None = None

    @property
    def reranks(self) -> bool:
        """Whether there is anything to rerank with."""
        return self.reranker is not None or "match" in self.model.tasks

    def search(
        self,
        query: Query,
        *,
        k: int = 10,
        candidates: int = 20,
        depth: int = 0,
        language: str = "auto",
        rerank: bool = True,
        min_score: float | None = None,
    ) -> SearchResponse[Result]:
        """The k best. Of those retrieved, the first `candidates` are reranked and stand before the others; a candidate
        that the reranker cannot open is left out, and named.

        A query without a part of the other modality is not reranked: its vectors know all that there is to know.
        depth: as of `JointModel.match`. min_score: leaves out what was not found to fit with this probability, and what
        was not reranked.
        """
        started = perf_counter()
        terms = self._read(query, language)
        read = perf_counter()
        rerank = rerank and self.reranks and any(term.is_matched(self.modality) for term in terms)
        hits = Retriever(self.items).retrieve(query_vector(self.model, terms), max(k, candidates) if rerank else k)
        retrieved = perf_counter()
        chosen = hits[:candidates] if rerank else []
        reranker = self.reranker or StateReranker[AnyFacts](self.model, self.states, self.modality, depth)
        ranked = reranker.rerank(terms, chosen)
        judged = {hit.facts.key for hit, _ in ranked}
        found: list[tuple[Hit[AnyFacts], float | None]] = [(hit, score) for hit, score in ranked]
        found += [(hit, None) for hit in hits[len(chosen) :]]
        if min_score is not None:
            found = [(hit, score) for hit, score in found if score is not None and score >= min_score]
        ended = perf_counter()
        return SearchResponse(
            str(query),
            language,
            self.model.name,
            [self.result(hit.facts, score, hit.score, rank) for rank, (hit, score) in enumerate(found[:k], 1)],
            {
                "text": 1000 * (read - started),
                "retrieve": 1000 * (retrieved - read),
                "rerank": 1000 * (ended - retrieved),
                "total": 1000 * (ended - started),
            },
            unopened=[hit.facts.key for hit in chosen if hit.facts.key not in judged],
        )

    def _read(self, query: Query, language: str) -> Sequence[ReadTerm]:
        return [
            ReadTerm(
                self.read_picture(term.picture)
                if term.picture is not None
                else self.model.read_text(self.model.tokenize([term.text or ""], [language])),
                term.weight,
                term.text,
            )
            for term in query.terms
        ]


def picture_result(facts: PictureFacts, score: float | None, retrieved: float, rank: int) -> SearchResult:
    return SearchResult(facts.path, score, retrieved, rank)


def text_result(facts: TextFacts, score: float | None, retrieved: float, rank: int) -> TextResult:
    return TextResult(facts.text, facts.language, facts.source, score, retrieved, rank)
