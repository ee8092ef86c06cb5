"""How well a model finds the pictures that texts are about."""

import random
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from experiments.editions.collections import Collection
from experiments.results import Row
from polyglance.answering.words import UNKNOWN
from polyglance.errors import DataError
from polyglance.evaluation.retrieval import Ranking, rerank, retrieve
from polyglance.languages import AUTO
from polyglance.models.families.cut_model import CutModel
from polyglance.models.reading import best_answers, embed_all, read_readable, read_texts
from polyglance.nn.states import TokenStates
from polyglance.scenes.grammar import grammar
from polyglance.scenes.questions import sample_question
from polyglance.scenes.sampling import FIRST_SEED, sample_scene

CANDIDATES = 20
"""The number of pictures that are reranked, as in a search."""
RERANKED = 500
"""The number of queries of each kind that are reranked: enough for two points, in a tenth of the time."""
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

    The systems are `twin`, the nearest vectors, and, if the model matches, `coop`: the best `CANDIDATES` of those
    reranked, for a sample of at most `RERANKED` queries.

    keys: the kinds and languages of the queries. states: of the collection's pictures.
    """
    vectors = embed_all(model, states)
    for kind, language in keys:
        queries = collection.queries[kind, language]
        code = language if language in model.languages else AUTO
        texts = read_texts(model, [text for _, text in queries], [code] * len(queries))
        right = torch.tensor([row for row, _ in queries])
        twin, _ = retrieve(embed_all(model, texts), vectors, max(CUTOFFS))
        found = {"twin": (twin, right)}
        if "match" in model.tasks:
            sample = _sample(len(queries), f"{collection.name} {kind} {language}")
            best = rerank(model, texts[sample], states, Ranking(twin.order[sample, :CANDIDATES]), queries_are_text=True)
            order = torch.cat([best.order, twin.order[sample, CANDIDATES:]], dim=1)
            found["coop"] = Ranking(order), right[sample]
        pool = len(collection.pictures)
        for system, (ranking, asked) in found.items():
            yield {
                "part": collection.name,
                "kind": kind,
                "language": language,
                "system": system,
                "asked": len(asked),
                "pool": pool,
                **{f"R@{at}": round(ranking.recall(asked, at), 2) for at in CUTOFFS},
                "chance": {f"R@{at}": round(100 * min(at / pool, 1), 2) for at in CUTOFFS},
            }


def unknown_row(model: CutModel, part: str, states: TokenStates, language: str = "en") -> Row:
    """Asks a question about each picture, and returns how often the most probable answer is that it is unknown.

    The questions are about other pictures, scenes of the test range, and would be answered if asked about these.

    part: the name of the pictures. states: of them.
    """
    rng = random.Random(f"unknown {part}")
    first = FIRST_SEED["test"] + 10_000
    asked = [sample_question(sample_scene(first + row), rng)[0] for row in range(len(states))]
    texts = read_texts(model, [grammar(language).say(question) for question in asked], [language] * len(states))
    found = best_answers(model, texts, states, top=1)
    unknown = [probability for ((answer, probability),) in found if answer == UNKNOWN]
    return {
        "part": part,
        "kind": "questions",
        "language": language,
        "system": "answer",
        "asked": len(states),
        "unknown": round(100 * len(unknown) / len(states), 2),
    }


def _sample(count: int, seed: str) -> Tensor:
    """Returns the rows of a sample, in order; all rows if there are few."""
    return torch.tensor(sorted(random.Random(seed).sample(range(count), min(count, RERANKED))))
