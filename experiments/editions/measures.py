"""How well a model finds the pictures that texts are about."""

from collections.abc import Iterator, Sequence

import torch

from experiments.editions.collections import Collection
from experiments.results import Row
from polyglance.errors import DataError
from polyglance.evaluation.retrieval import Ranking, rerank, retrieve
from polyglance.languages import AUTO
from polyglance.models.families.cut_model import CutModel
from polyglance.models.reading import embed_all, read_readable, read_texts
from polyglance.nn.states import TokenStates

CANDIDATES = 20
"""The number of pictures that are reranked, as in a search."""
CUTOFFS = (1, 10, 50)


def read_collection(model: CutModel, collection: Collection) -> TokenStates:
    """Returns the states of all pictures as a library returns them. Raises DataError if a picture cannot be read."""
    states, failed = read_readable(model, collection.pictures, as_stored=True)
    if failed:
        raise DataError(f"{collection.name}: expected pictures that can be read, got {dict(list(failed.items())[:3])}")
    return states


def retrieval_rows(
    model: CutModel, collection: Collection, states: TokenStates, keys: Sequence[tuple[str, str]]
) -> Iterator[Row]:
    """Yields one row for each system, of some of the collection's queries: R@1, R@10 and R@50 in percent, and chance.

    The systems are `twin`, the nearest vectors, and `coop`, the best `CANDIDATES` of those reranked, if the model
    matches.

    keys: the kinds and languages of the queries. states: of the collection's pictures.
    """
    vectors = embed_all(model, states)
    for kind, language in keys:
        queries = collection.queries[kind, language]
        code = language if language in model.languages else AUTO
        texts = read_texts(model, [text for _, text in queries], [code] * len(queries))
        twin, _ = retrieve(embed_all(model, texts), vectors, max(CUTOFFS))
        systems = {"twin": twin}
        if "match" in model.tasks:
            best = rerank(model, texts, states, Ranking(twin.order[:, :CANDIDATES]), queries_are_text=True).order
            systems["coop"] = Ranking(torch.cat([best, twin.order[:, CANDIDATES:]], dim=1))
        right = torch.tensor([row for row, _ in queries])
        pool = len(collection.pictures)
        for system, ranking in systems.items():
            yield {
                "part": collection.name,
                "kind": kind,
                "language": language,
                "system": system,
                "asked": len(queries),
                "pool": pool,
                **{f"R@{at}": round(ranking.recall(right, at), 2) for at in CUTOFFS},
                "chance": {f"R@{at}": round(100 * min(at / pool, 1), 2) for at in CUTOFFS},
            }
