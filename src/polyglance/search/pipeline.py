"""Retrieve, then rerank: a query in, a ranked list of pictures out, with the time of each stage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from polyglance.models.protocol import JointModel
from polyglance.nn.states import TokenStates
from polyglance.query import PictureSource, Query
from polyglance.search.reranker import Reranker
from polyglance.search.retriever import Retriever
from polyglance.search.terms import ReadTerm, query_vector
from polyglance.store.protocols import StateStore, VectorStore
from polyglance.types import SearchResponse, SearchResult


@dataclass(frozen=True)
class SearchPipeline:
    """One model in both stages, reading the query once for both of them ("joint" of arXiv:2103.11920).

    read_picture: the states of a picture of the query.
    """

    model: JointModel
    pictures: VectorStore
    states: StateStore
    read_picture: Callable[[PictureSource], TokenStates]

    def search(
        self, query: Query, *, k: int = 10, candidates: int = 20, language: str = "auto", rerank: bool = True
    ) -> SearchResponse:
        """The k best pictures. Of those retrieved, the first `candidates` are reranked and stand before the others.

        A query without a text is not reranked: its vectors know all that there is to know.
        """
        started = perf_counter()
        terms = self._read(query)
        read = perf_counter()
        rerank = rerank and any(term.is_text for term in terms)
        hits = Retriever(self.pictures).retrieve(query_vector(self.model, terms), max(k, candidates) if rerank else k)
        retrieved = perf_counter()
        chosen = hits[:candidates] if rerank else []
        ranked = Reranker(self.model, self.states).rerank(terms, chosen)
        results = [SearchResult(hit.path, score, hit.score, score, 0) for hit, score in ranked]
        results += [SearchResult(hit.path, hit.score, hit.score, None, 0) for hit in hits[len(chosen) :]]
        ended = perf_counter()
        return SearchResponse(
            str(query),
            language,
            self.model.name,
            [replace(result, rank=rank) for rank, result in enumerate(results[:k], 1)],
            {
                "text": 1000 * (read - started),
                "retrieve": 1000 * (retrieved - read),
                "rerank": 1000 * (ended - retrieved),
                "total": 1000 * (ended - started),
            },
        )

    def _read(self, query: Query) -> Sequence[ReadTerm]:
        return [
            ReadTerm(
                self.read_picture(term.picture)
                if term.picture is not None
                else self.model.read_text(self.model.tokenize([term.text or ""])),
                term.weight,
            )
            for term in query.terms
        ]
