"""Retrieve, then rerank: a text in, a ranked list of pictures out, with the time of each stage."""

from dataclasses import dataclass, replace
from time import perf_counter

from polyglance.models.protocol import JointModel
from polyglance.search.reranker import Reranker
from polyglance.search.retriever import Retriever
from polyglance.store.protocols import StateStore, VectorStore
from polyglance.types import SearchResponse, SearchResult


@dataclass(frozen=True)
class SearchPipeline:
    """One model in both stages, reading the text once for both of them ("joint" of arXiv:2103.11920)."""

    model: JointModel
    pictures: VectorStore
    states: StateStore

    def search(
        self, query: str, *, k: int = 10, candidates: int = 20, language: str = "auto", rerank: bool = True
    ) -> SearchResponse:
        """The k best pictures. Of those retrieved, the first `candidates` are reranked and stand before the others."""
        started = perf_counter()
        text = self.model.read_text(self.model.tokenize([query]))
        read = perf_counter()
        hits = Retriever(self.model, self.pictures).retrieve(text, max(k, candidates) if rerank else k)
        retrieved = perf_counter()
        chosen = hits[:candidates] if rerank else []
        ranked = Reranker(self.model, self.states).rerank(text, chosen)
        results = [SearchResult(hit.path, score, hit.score, score, 0) for hit, score in ranked]
        results += [SearchResult(hit.path, hit.score, hit.score, None, 0) for hit in hits[len(chosen) :]]
        ended = perf_counter()
        return SearchResponse(
            query,
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
