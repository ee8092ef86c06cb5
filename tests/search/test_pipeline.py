"""The two stages over stores in memory: what is retrieved, what the reranker changes, and who stands where."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from PIL import Image

from polyglance.data.images import decode
from polyglance.errors import QueryError
from polyglance.models.protocol import ImageBatch, TextBatch
from polyglance.nn.states import TokenStates
from polyglance.query import Query
from polyglance.search.pipeline import Asked, SearchPipeline, picture_result, text_result
from polyglance.search.reranker import StateReranker
from polyglance.search.retriever import Retriever
from polyglance.search.terms import query_vector
from polyglance.store.memory import MemoryStateStore, MemoryVectorStore
from polyglance.store.protocols import PictureFacts, TextFacts
from polyglance.types import SearchResponse
from tests.fakes import COLOURS, ColourModel


def picture(left: str, right: str) -> Image.Image:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, :8], pixels[:, 8:] = COLOURS[left], COLOURS[right]
    return Image.fromarray(pixels)


def pipeline(pictures: dict[str, Image.Image], copies: int = 0) -> SearchPipeline:
    """The pictures by name, each `copies` times more under another path but with the same content."""
    model = ColourModel()
    pixels = np.stack([model.preprocess(image) for image in pictures.values()])
    states = model.read_images(ImageBatch(torch.from_numpy(pixels)))
    vectors, state_store = MemoryVectorStore(model.embedding_dim), MemoryStateStore()
    for copy in range(copies + 1):
        facts = [PictureFacts(f"{name}{'~' * copy}", "/", name, 1, 1, 16, 16) for name in pictures]
        vectors.put(facts, model.embed(states).numpy())
    state_store.put(dict(zip(pictures, states.store(), strict=True)))
    return Searched(model, vectors, "image", picture_result, state_store, lambda shown: read(model, shown))


class Searched(SearchPipeline):
    """With texts as they are typed."""

    def search(self, query: str | Query, **more: object) -> SearchResponse:
        return super().search(Query.text(query) if isinstance(query, str) else query, **more)


def read(model: ColourModel, pictures: Sequence[object]) -> TokenStates:
    assert all(isinstance(picture, bytes) for picture in pictures)
    pixels = np.stack([model.preprocess(decode(picture)) for picture in pictures])
    return model.read_images(ImageBatch(torch.from_numpy(pixels)))


@pytest.fixture
def mixed() -> SearchPipeline:
    """To a twin encoder that averages, the first two are one picture."""
    return pipeline(
        {
            "blue-red": picture("blue", "red"),
            "red-blue": picture("red", "blue"),
            "red-red": picture("red", "red"),
            "green": picture("green", "green"),
        }
    )


def paths(response: object) -> list[str]:
    return [result.path for result in response.results]


def test_retrieval_alone_orders_by_cosine(mixed: SearchPipeline):
    response = mixed.search("red", rerank=False)
    assert paths(response) == ["red-red", "blue-red", "red-blue", "green"]
    assert [result.rank for result in response.results] == [1, 2, 3, 4]
    assert response.results[1].retrieval_score == pytest.approx(math.sqrt(0.5), abs=1e-2)
    for result in response.results:
        assert result.score is None


def test_reranking_sees_what_the_vectors_do_not(mixed: SearchPipeline):
    assert paths(mixed.search("red left", rerank=False)) == ["red-red", "blue-red", "red-blue", "green"]
    assert paths(mixed.search("red left")) == ["red-red", "red-blue", "blue-red", "green"]


def test_reranked_scores_are_probabilities_best_first(mixed: SearchPipeline):
    scores = [result.score for result in mixed.search("red left").results]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1 / (1 + math.exp(-4)), abs=1e-2)
    assert scores[-1] == pytest.approx(1 / (1 + math.exp(4)), abs=1e-2)


def test_what_is_not_reranked_follows_in_the_order_of_retrieval(mixed: SearchPipeline):
    response = mixed.search("blue left red right", candidates=2)
    assert paths(response) == ["blue-red", "red-blue", "red-red", "green"]
    assert [result.score is None for result in response.results] == [False, False, True, True]
    response = mixed.search("red left", candidates=0)
    assert paths(response) == ["red-red", "blue-red", "red-blue", "green"]
    assert [result.score for result in response.results] == [None] * 4


def test_more_candidates_than_results_are_weighed(mixed: SearchPipeline):
    assert paths(mixed.search("red left", k=2, candidates=2)) == ["red-red", "blue-red"]
    assert paths(mixed.search("red left", k=2, candidates=3)) == ["red-red", "red-blue"]


def test_files_of_one_content_appear_once():
    copied = pipeline({"a": picture("red", "red"), "b": picture("red", "blue"), "c": picture("blue", "blue")}, copies=9)
    for rerank in (False, True):
        assert paths(copied.search("red", k=3, rerank=rerank)) == ["a", "b", "c"]
    assert paths(copied.search("red", k=2, candidates=2)) == ["a", "b"]


def test_an_empty_store_gives_no_results():
    model = ColourModel()
    response = Searched(
        model, MemoryVectorStore(model.embedding_dim), "image", picture_result, MemoryStateStore(), print
    ).search("red")
    assert response.results == []


def test_the_stages_are_timed(mixed: SearchPipeline):
    milliseconds = mixed.search("red").milliseconds
    assert list(milliseconds) == ["text", "retrieve", "rerank", "total"]
    assert all(value > 0 for value in milliseconds.values())
    assert sum(list(milliseconds.values())[:3]) == pytest.approx(milliseconds["total"])


def test_the_response_says_who_answered_what(mixed: SearchPipeline):
    response = mixed.search("red", language="en")
    assert (response.query, response.language, response.model) == ("red", "en", "colours")


def test_the_reranker_scores_many_pictures_in_parts():
    many = pipeline({f"{share:03}": Image.new("RGB", (16, 16), COLOURS["red"]) for share in range(150)})
    (terms,) = many.read([Query.text("red")], ["en"])
    (hits,) = Retriever(many.items).retrieve(query_vector(terms)[None], 150)
    ranked = StateReranker(many.model, many.states, "image").rerank(terms, hits)
    assert [hit for hit, _ in ranked] == hits
    assert len({round(score, 4) for _, score in ranked}) == 1


# -- queries of more than a text ---------------------------------------------------------------------------------------


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_picture_finds_what_looks_like_it_and_is_not_reranked(mixed: SearchPipeline):
    response = mixed.search(Query.picture(png(picture("green", "green"))))
    assert paths(response)[0] == "green"
    assert response.results[0].retrieval_score == pytest.approx(1, abs=1e-3)
    assert all(result.score is None for result in response.results)


def test_a_text_is_added_to_a_picture(mixed: SearchPipeline):
    """Half blue, half red looks the same to the vectors on either side; the text says which."""
    both = Query.picture(png(picture("red", "blue"))) + Query.text("blue left red right")
    assert paths(mixed.search(both))[0] == "blue-red"
    assert paths(mixed.search(both, rerank=False))[0] in ("blue-red", "red-blue")


def test_what_is_taken_away_goes_down(mixed: SearchPipeline):
    assert paths(mixed.search(Query.text("red")))[0] == "red-red"
    without = mixed.search(Query.text("red") - Query.text("red right"))
    assert paths(without)[0] == "red-blue"
    assert paths(mixed.search(Query.text("green") - 0.5 * Query.text("red"), rerank=False))[0] == "green"


def test_log_odds_add_up_by_weight(mixed: SearchPipeline):
    (alone,) = mixed.search("red", k=1).results
    (twice,) = mixed.search(2 * Query.text("red"), k=1).results
    odds = math.log(alone.score / (1 - alone.score))
    assert twice.score == pytest.approx(1 / (1 + math.exp(-2 * odds)), abs=1e-3)
    (split,) = mixed.search(0.25 * Query.text("red") + 0.75 * Query.text("red"), k=1).results
    assert split.score == pytest.approx(alone.score, abs=1e-3)


@pytest.mark.parametrize("weight", [1e-30, 1e-45, 1e6])
def test_how_much_all_terms_weigh_leaves_the_vector_as_it_is(mixed: SearchPipeline, weight: float):
    (alone,) = mixed.search("red", k=1, rerank=False).results
    (weighed,) = mixed.search(weight * Query.text("red"), k=1, rerank=False).results
    assert weighed.retrieval_score == pytest.approx(alone.retrieval_score, abs=1e-6)


def test_a_picture_in_a_sum_counts_by_its_cosine(mixed: SearchPipeline):
    """With a text that tells nothing apart, the order is that of the picture's own vectors."""
    image = png(picture("red", "green"))
    alone = paths(mixed.search(Query.picture(image)))
    assert paths(mixed.search(Query.picture(image) + 1e-6 * Query.text("white"))) == alone


# -- probabilities -----------------------------------------------------------------------------------------------------


def test_a_match_is_calibrated_before_it_is_weighed(mixed: SearchPipeline):
    """The model's own logits are 4, 0, 0 and -4."""
    mixed.model.calibration = (0.5, -1.0)
    scores = [result.score for result in mixed.search("red").results]
    assert scores == pytest.approx([1 / (1 + math.exp(-odds)) for odds in (1, -1, -1, -3)], abs=5e-3)
    (twice,) = mixed.search(2 * Query.text("red"), k=1).results
    assert twice.score == pytest.approx(1 / (1 + math.exp(-2)), abs=5e-3)


@pytest.mark.parametrize(
    "query",
    [
        Query.text("red left"),
        2 * Query.text("red left"),
        -1 * Query.text("red left"),
        0.25 * Query.text("red left") + 0.75 * Query.text("red left"),
        Query.text("red left") - Query.text("green"),
    ],
    ids=str,
)
def test_the_twin_encoder_has_a_say_in_matches(mixed: SearchPipeline, query: Query):
    """Log-odds are those of the matches, plus the weight times the cosines of each term, however it is composed."""
    (terms,) = mixed.read([query], ["en"])
    alone = {result.path: result.score for result in mixed.search(query).results}
    mixed.model.cosine_weight, mixed.model.calibration = 3.0, (0.5, 0.0)
    together = mixed.search(query).results
    assert len(together) == 4
    for result in together:
        vector = mixed.model.embed(TokenStates.load(mixed.states.get([result.path]), "image", "cpu"))[0]
        cosines = sum(term.weight * float(vector @ term.vector) for term in terms)
        odds = 0.5 * (math.log(alone[result.path] / (1 - alone[result.path])) + 3 * cosines)
        assert result.score == pytest.approx(1 / (1 + math.exp(-odds)), abs=2e-3)


def test_a_least_score_leaves_out_what_does_not_fit_and_what_nobody_looked_at(mixed: SearchPipeline):
    assert paths(mixed.search("red", min_score=0.9)) == ["red-red"]
    assert paths(mixed.search("red", min_score=0.1)) == ["red-red", "blue-red", "red-blue"]
    assert paths(mixed.search("red", min_score=0.1, candidates=2)) == ["red-red", "blue-red"]
    assert paths(mixed.search("red", min_score=0, k=2)) == ["red-red", "blue-red"]
    assert paths(mixed.search("white", min_score=0.5)) == []


# -- among texts -------------------------------------------------------------------------------------------------------


@pytest.fixture
def texts() -> SearchPipeline:
    """Texts in two files, one of them in both."""
    said = ["red left", "red right", "green", "blue"]
    model = ColourModel()
    states = model.read_text(model.tokenize(said))
    vectors, state_store = MemoryVectorStore(model.embedding_dim), MemoryStateStore()
    facts = [TextFacts(f"a {text}", text, text, "en", "/a.txt") for text in said]
    vectors.put(facts, model.embed(states).numpy())
    vectors.put([TextFacts("b green", "green", "green", "en", "/b.txt")], model.embed(states)[[2]].numpy())
    state_store.put(dict(zip(said, states.store(), strict=True)))
    return Searched(model, vectors, "text", text_result, state_store, lambda shown: read(model, shown))


def test_a_picture_finds_its_texts_and_they_are_reranked(texts: SearchPipeline):
    response = texts.search(Query.picture(png(picture("white", "red"))))
    assert (response.results[0].text, response.results[0].source) == ("red right", "/a.txt")
    assert sorted(result.text for result in response.results) == ["blue", "green", "red left", "red right"]
    assert response.results[0].score == pytest.approx(1 / (1 + math.exp(-4)), abs=1e-2)
    alone = texts.search(Query.picture(png(picture("white", "red"))), rerank=False)
    assert [result.text for result in alone.results[:2]] == ["red left", "red right"]


def test_the_match_of_a_text_and_a_picture_is_the_same_from_either_side(texts: SearchPipeline):
    shown = picture("red", "blue")
    by_picture = {result.text: result.score for result in texts.search(Query.picture(png(shown))).results}
    assert len(by_picture) == 4
    for text, score in by_picture.items():
        assert pipeline({"shown": shown}).search(text).results[0].score == pytest.approx(score, abs=1e-3)


def test_a_text_finds_texts_by_their_vectors_alone(texts: SearchPipeline):
    response = texts.search("blue")
    assert response.results[0].text == "blue"
    assert all(result.score is None for result in response.results)


def test_a_sum_among_texts_is_matched_by_its_pictures(texts: SearchPipeline):
    shown = Query.picture(png(picture("white", "red")))
    both = texts.search(shown + 1e-6 * Query.text("red left"))
    assert [result.text for result in both.results] == [result.text for result in texts.search(shown).results]
    assert None not in [result.score for result in both.results]
    assert texts.search(shown - 4 * Query.text("red")).results[0].text != "red right"


# -- many queries at once ----------------------------------------------------------------------------------------------


@dataclass
class CountingModel(ColourModel):
    """Counts the batches of texts that it reads, and the calls that make vectors of them."""

    texts_read: list[int] = field(default_factory=list)
    embedded: int = 0

    def read_text(self, batch: TextBatch) -> TokenStates:
        self.texts_read.append(len(batch.ids))
        return super().read_text(batch)

    def embed(self, states: TokenStates) -> torch.Tensor:
        self.embedded += 1
        return super().embed(states)


class CountingStore(MemoryVectorStore):
    """Counts the vectors of each search."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.asked: list[int] = []

    def search_all(self, vectors: np.ndarray, limit: int) -> list:
        self.asked.append(len(vectors))
        return super().search_all(vectors, limit)


def test_many_queries_are_read_in_one_batch_and_retrieved_by_one_product(mixed: SearchPipeline):
    model, items = CountingModel(), CountingStore(mixed.model.embedding_dim)
    for facts in mixed.items.facts():
        items.put(
            [facts], mixed.model.embed(TokenStates.load(mixed.states.get([facts.content]), "image", "cpu")).numpy()
        )
    many = replace(mixed, model=model, items=items, read_pictures=lambda shown: read(model, shown))
    shown = [Query.picture(png(picture("green", "green"))), Query.picture(png(picture("white", "red")))]
    difference = Query.text("a very long text about blue") - shown[1]
    queries = [Query.text("red left"), shown[0], difference, Query.text("red")]
    found = many.search_all([Asked(query) for query in queries])
    assert model.texts_read == [3]
    assert model.batches_read == [2]
    assert items.asked == [4]
    assert [response.query for response in found] == [str(query) for query in queries]
    for query, response in zip(queries, found, strict=True):
        alone = mixed.search(query)
        assert paths(response) == paths(alone)
        assert [one.score for one in response.results] == pytest.approx([one.score for one in alone.results], abs=1e-6)
    assert many.search_all([]) == []


def test_each_query_has_candidates_of_its_own(mixed: SearchPipeline):
    found = mixed.search_all([Asked(Query.text("red left"), candidates=count) for count in (0, 2, 4)], k=3)
    assert [[result.score is None for result in one.results] for one in found] == [
        [True, True, True],
        [False, False, True],
        [False, False, False],
    ]


def test_duplicates_hide_nothing_from_any_of_many_queries():
    copied = pipeline({name: picture(name, name) for name in ("red", "blue", "green")}, copies=9)
    found = copied.search_all([Asked(Query.text(name)) for name in ("red", "blue", "white")], k=3, rerank=False)
    assert [paths(one)[0] for one in found[:2]] == ["red", "blue"]
    assert [sorted(paths(one)) for one in found] == [["blue", "green", "red"]] * 3


def test_a_vector_stands_for_what_it_was_made_of(mixed: SearchPipeline):
    vector = mixed.model.embed(mixed.model.read_text(mixed.model.tokenize(["red"])))[0].numpy()
    response = mixed.search(Query.vector(7 * vector))
    alone = mixed.search("red", rerank=False)
    assert paths(response) == paths(alone)
    assert [result.score for result in response.results] == [None] * 4
    both = mixed.search(Query.text("red left") - 0.5 * Query.vector(vector.tolist()))
    assert None not in [result.score for result in both.results]
    assert both.query == '"red left" - 0.5 [a vector of 4 values]'
    with pytest.raises(QueryError, match="expected a vector of 4 values, as colours makes them, got 3"):
        mixed.search(Query.vector([1, 0, 0]))
