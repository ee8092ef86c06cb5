import math
from dataclasses import dataclass, field

import pytest
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from polyglance.evaluation.retrieval import PAIRS, Ranking, blended, match, rerank, retrieve
from polyglance.models.reading import embed_all, read_pictures, read_texts
from polyglance.nn.states import TokenStates
from tests.fakes import ColourModel


def test_recall_counts_the_right_item_among_the_first() -> None:
    ranking = Ranking(torch.tensor([[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 2, 3]]))
    right = torch.tensor([0, 0, 2, 0])
    assert [ranking.recall(right, at) for at in (1, 2, 3)] == [25, 50, 75]


def test_retrieve_orders_by_cosine_and_takes_no_more_than_there_are() -> None:
    pool = torch.tensor([[1.0, 0], [0, 1], [0.6, 0.8]])
    ranking, scores = retrieve(torch.tensor([[1.0, 0]]), pool, 10)
    assert ranking.order.tolist() == [[0, 2, 1]]
    torch.testing.assert_close(scores, torch.tensor([[1, 0.6, 0]]))


@pytest.mark.parametrize("queries_are_text", [True, False])
def test_cosines_weigh_in_matches(queries_are_text: bool) -> None:
    model = ColourModel()
    texts = read_texts(model, ["red left", "green", "blue green"])
    pictures = read_pictures(model, [Image.new("RGB", (16, 16), name) for name in ("red", "lime", "blue", "white")])
    queries, pool = (texts, pictures) if queries_are_text else (pictures, texts)
    chosen = torch.tensor([[2, 0]] * len(queries))
    alone = match(model, queries, pool, chosen, queries_are_text)
    cosines = (embed_all(model, queries) @ embed_all(model, pool).T)[:, [2, 0]]
    model.cosine_weight = 5.0
    torch.testing.assert_close(match(model, queries, pool, chosen, queries_are_text), alone + 5 * cosines)
    model.cosine_weight = 1e6
    best = rerank(model, queries, pool, Ranking(chosen), queries_are_text).order
    assert torch.equal(best, chosen.gather(1, cosines.argsort(dim=1, descending=True, stable=True)))


@dataclass
class PassesOf(ColourModel):
    """passes: the number of tokens of the texts in each pass."""

    passes: list[int] = field(default_factory=list)

    def match(self, text: TokenStates, images: TokenStates, depth: int = 0) -> Float[Tensor, " pairs"]:
        self.passes.append(text.hidden.shape[1])
        return super().match(text, images, depth)


@pytest.mark.parametrize("queries_are_text", [True, False])
def test_passes_are_of_texts_of_similar_lengths(queries_are_text: bool) -> None:
    model = PassesOf()
    texts = read_texts(model, ["red", "red left of green blue", "green", "blue right of white"])
    pictures = read_pictures(model, [Image.new("RGB", (16, 16), name) for name in ("red", "lime", "blue", "white")])
    tokens = texts.mask.sum(dim=1)
    queries, pool = (texts, pictures) if queries_are_text else (pictures, texts)
    chosen = torch.arange(4).repeat(4, PAIRS // 8)
    found = match(model, queries, pool, chosen, queries_are_text)
    assert model.passes == [int(tokens[[0, 2]].max()), int(tokens.max())]
    alone = torch.cat([match(model, queries[row : row + 1], pool, chosen[:1], queries_are_text) for row in range(4)])
    torch.testing.assert_close(found, alone)


def test_a_blend_mixes_the_probability_of_a_match_with_the_cosine() -> None:
    logits, cosines = torch.tensor([[3.0, 0.0, -200.0]]), torch.tensor([[0.5, -1.0, 0.25]])
    expected = torch.tensor([[0.75 / (1 + math.exp(-3)) + 0.125, 0.375 - 0.25, 0.0625]])
    torch.testing.assert_close(blended(logits, cosines, 0.25), expected)
