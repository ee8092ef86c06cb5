"""Retrieves and then reranks: turns a query into a ranked list of pictures or texts, with the time of each stage."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Generic

import numpy as np
import torch
from torch import Tensor

from polyglance.errors import QueryError
from polyglance.models.protocol import Embedder
from polyglance.models.reading import embed_all, read_texts
from polyglance.nn.states import TokenStates
from polyglance.query import PictureSource, Query, Term
from polyglance.search.reranker import Reranker, StateReranker
from polyglance.search.retriever import Retriever
from polyglance.search.terms import ReadTerm, query_vector
from polyglance.store.protocols import AnyFacts, Hit, PictureFacts, StateStore, TextFacts, VectorStore
from polyglance.types import Modality, Result, SearchResponse, SearchResult, TextResult

_Row = tuple[TokenStates, Tensor]
"""The states of one text or picture, and its vector."""


@dataclass(frozen=True)
class SearchPipeline(Generic[AnyFacts, Result]):
    """Retrieves with a model and reranks with the same model or with another reranker.

    The first case is the joint and the second the separate configuration of arXiv:2103.11920. In the first case the
    query is read once for both stages.

    model: embeds queries, and reranks if there is no other reranker. items: the items to search, of one modality.
    result: makes a result from an item's facts, score, retrieval score and rank. states: the token states of the items.
    read_pictures: reads the pictures of queries to states, one row each. reranker: reranks in place of the model.
    """

    model: Embedder
    items: VectorStore[AnyFacts]
    modality: Modality
    result: Callable[[AnyFacts, float | None, float, int], Result]
    states: StateStore
    read_pictures: Callable[[Sequence[PictureSource]], TokenStates]
    reranker: Reranker[AnyFacts] | None = None

    @property
    def reranks(self) -> bool:
        """Whether the model or another reranker can rerank."""
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
        """Searches for one query, as `search_all` does for several."""
        asked = Asked(query, language, candidates, depth)
        return self.search_all([asked], k=k, rerank=rerank, min_score=min_score)[0]

    def search_all(
        self, asked: Sequence["Asked"], *, k: int = 10, rerank: bool = True, min_score: float | None = None
    ) -> list[SearchResponse[Result]]:
        """Returns the k best items for each query.

        All queries are read in one batch and retrieved by one matrix product.

        The first `candidates` of the retrieved items are reranked and come before the others. A candidate that the
        reranker cannot open is left out and reported as unopened. A query is reranked only if it has a part of the
        other modality; without one, the cross-encoder has nothing to match.

        asked: the queries. k: the number of results for each. rerank: whether to rerank. min_score: leaves out items
        with a lower probability and items that were not reranked.

        The `text` and `retrieve` times of each response are those of all queries together.
        """
        if not asked:
            return []
        started = perf_counter()
        read = self.read([one.query for one in asked], [one.language for one in asked])
        ended = perf_counter()
        most = max(k, *(one.candidates for one in asked)) if rerank else k
        found = Retriever(self.items).retrieve(np.stack(list(map(query_vector, read))), most)
        milliseconds = {"text": 1000 * (ended - started), "retrieve": 1000 * (perf_counter() - ended)}
        return [
            self._ranked(one, terms, hits, milliseconds, k, rerank, min_score)
            for one, terms, hits in zip(asked, read, found, strict=True)
        ]

    def _ranked(
        self,
        asked: "Asked",
        terms: Sequence[ReadTerm],
        hits: Sequence[Hit[AnyFacts]],
        milliseconds: Mapping[str, float],
        k: int,
        rerank: bool,
        min_score: float | None,
    ) -> SearchResponse[Result]:
        """milliseconds: of the stages before."""
        started = perf_counter()
        rerank = rerank and self.reranks and any(term.matched_states(self.modality) is not None for term in terms)
        chosen = hits[: asked.candidates] if rerank else []
        reranker = self.reranker or StateReranker[AnyFacts](self.model, self.states, self.modality, asked.depth)
        ranked = reranker.rerank(terms, chosen)
        judged = {hit.facts.key for hit, _ in ranked}
        found: list[tuple[Hit[AnyFacts], float | None]] = [(hit, score) for hit, score in ranked]
        found += [(hit, None) for hit in hits[len(chosen) :]]
        if min_score is not None:
            found = [(hit, score) for hit, score in found if score is not None and score >= min_score]
        stages = {**milliseconds, "rerank": 1000 * (perf_counter() - started)}
        return SearchResponse(
            str(asked.query),
            asked.language,
            self.model.name,
            [self.result(hit.facts, score, hit.score, rank) for rank, (hit, score) in enumerate(found[:k], 1)],
            {**stages, "total": sum(stages.values())},
            unopened=[hit.facts.key for hit in chosen if hit.facts.key not in judged],
        )

    def read(self, queries: Sequence[Query], languages: Sequence[str]) -> list[list[ReadTerm]]:
        """Reads the parts of each query: all texts in one batch, and all pictures in another.

        languages: the language of each query's texts.

        Raises:
            QueryError: the length of a vector differs from the model's embedding dimension.
        """
        terms = [(term, language) for one, language in zip(queries, languages, strict=True) for term in one.terms]
        for term, _ in terms:
            if term.vector is not None and len(term.vector) != self.model.embedding_dim:
                raise QueryError(
                    f"expected a vector of {self.model.embedding_dim:,} values, as {self.model.name} makes them, "
                    f"got {len(term.vector):,}"
                )
        texts = [(term.text, language) for term, language in terms if term.text is not None]
        pictures = [term.picture for term, _ in terms if term.picture is not None]
        read_texts = self._rows(self._read_texts(texts) if texts else None)
        read_pictures = self._rows(self.read_pictures(pictures) if pictures else None)
        read = iter([self._read_term(term, read_texts, read_pictures) for term, _ in terms])
        return [[next(read) for _ in one.terms] for one in queries]

    def _read_term(self, term: Term, texts: Iterator[_Row], pictures: Iterator[_Row]) -> ReadTerm:
        if term.vector is not None:
            return ReadTerm(torch.tensor(term.vector, dtype=torch.float32), term.weight)
        states, vector = next(pictures if term.text is None else texts)
        return ReadTerm(vector, term.weight, states, term.text)

    def _read_texts(self, texts: Sequence[tuple[str, str]]) -> TokenStates:
        return read_texts(self.model, [text for text, _ in texts], [language for _, language in texts])

    def _rows(self, read: TokenStates | None) -> Iterator[_Row]:
        """Yields each row without its padding, and its vector."""
        if read is not None:
            for row, vector in enumerate(embed_all(self.model, read)):
                yield read[row : row + 1].trimmed(), vector


@dataclass(frozen=True)
class Asked:
    """A query and how to search for it.

    language: the language of its texts. candidates: the number of candidates to rerank. depth: the drop depth of the
    matches, see `Matcher.match`.
    """

    query: Query
    language: str = "auto"
    candidates: int = 20
    depth: int = 0


def picture_result(facts: PictureFacts, score: float | None, retrieved: float, rank: int) -> SearchResult:
    return SearchResult(facts.path, score, retrieved, rank)


def text_result(facts: TextFacts, score: float | None, retrieved: float, rank: int) -> TextResult:
    return TextResult(facts.text, facts.language, facts.source, score, retrieved, rank)
