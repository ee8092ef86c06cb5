"""Which pairs the losses of a step are of, with a model whose cosines and logits stand in tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from polyglance.data.captions import Caption
from polyglance.models.checkpoint import load_folder
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.protocol import ImageBatch, TextBatch
from polyglance.nn.states import TokenStates
from polyglance.training.losses import binary_match, hardest_triplet, info_nce, pairwise_sigmoid, ranked_match
from polyglance.training.retrieval.caption_batches import CaptionSource
from polyglance.training.retrieval.objectives import MARGIN, PASSES, RetrievalLosses, RetrievalSettings
from tests.journeys.tiny import save_tiny_model

GREY = 20
"""The difference in brightness between one picture and the next."""
NEAREST, SECOND = 0.9, 0.8


class TableModel(SingleStreamModel):
    """Reads a text or a picture as its number, and looks up cosines and logits, both (texts, pictures).

    longer: whether a text has a token more than the one before it. passes: the texts, (pairs, tokens), and the numbers
    of texts and pictures, (pairs, 2), of each pass of the last step.
    """

    cosines: Tensor
    logits: Tensor
    longer = False
    passes: list[tuple[TokenStates, Tensor]]

    @property
    def pairs(self) -> Tensor:
        """The right pairs of the last step, those with a wrong picture, and those with a wrong text: (3, rows, 2)."""
        return torch.cat([pairs for _, pairs in self.passes]).view(3, -1, 2)

    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        ids = torch.tensor([[int(text)] for text in texts])
        return TextBatch(ids, torch.ones_like(ids, dtype=torch.bool))

    def read_text(self, batch: TextBatch) -> TokenStates:
        self.passes = []
        hidden, mask = batch.ids[:, :, None].float(), batch.mask
        if self.longer:
            mask = torch.arange(len(self.cosines)) <= batch.ids
            hidden = hidden.expand(-1, len(self.cosines), 1)
        return TokenStates(hidden, mask, "text")

    def read_images(self, batch: ImageBatch) -> TokenStates:
        numbers = batch.pixels[:, 0, :1, :1].float() / GREY
        return TokenStates(numbers, torch.ones(numbers.shape[:2], dtype=torch.bool), "image")

    def embed(self, states: TokenStates) -> Tensor:
        vectors = torch.eye(len(self.cosines)) if states.modality == "text" else self.cosines.T
        return vectors[numbers_of(states)]

    def match(self, text: TokenStates, images: TokenStates, depth: int = 0) -> Tensor:
        texts, pictures = numbers_of(text), numbers_of(images)
        self.passes.append((text, torch.stack([texts, pictures], dim=1)))
        return self.logits[texts, pictures]


def numbers_of(states: TokenStates) -> Tensor:
    return states.hidden[:, 0, 0].round().long()


def losses_of(
    folder: Path, cosines: Tensor, also: Mapping[int, Sequence[int]] | None = None, **settings
) -> RetrievalLosses:
    """The losses of batches of all captions. also: the further pictures that a text is true of."""
    model = load_folder(save_tiny_model(folder / "tiny"))
    model = TableModel(model.config, model.tokenizer)
    model.cosines, model.logits = cosines, torch.arange(cosines.numel()).view(cosines.shape) / 7 - 1
    pictures = [folder / f"{number}.png" for number in range(len(cosines))]
    for number, picture in enumerate(pictures):
        Image.new("RGB", (32, 32), (GREY * number,) * 3).save(picture)
    captions = [
        Caption(
            picture, str(number), split="train", also=tuple(pictures[other] for other in (also or {}).get(number, ()))
        )
        for number, picture in enumerate(pictures)
    ]
    return RetrievalLosses(
        model, CaptionSource(captions, len(captions), 0), RetrievalSettings(precision="no", **settings)
    )


def pairs_of(losses: RetrievalLosses, steps: int) -> Tensor:
    """The pairs of some steps: (3, rows, 2)."""
    drawn = []
    for step in range(steps):
        losses.step(step)
        drawn.append(losses.model.pairs)
    return torch.cat(drawn, dim=1)


def ring(*ahead: float, rows: int = 5) -> Tensor:
    """Cosines of 0.95 for the right pairs, and of text i with the pictures i + 1, i + 2, ... as given."""
    cosines = 0.95 * torch.eye(rows)
    for distance, value in enumerate(ahead, 1):
        cosines += value * torch.eye(rows).roll(distance, dims=1)
    return cosines


def test_negatives_are_what_the_twin_encoder_takes_for_right(tmp_path: Path) -> None:
    losses = losses_of(tmp_path, ring(NEAREST))
    right, wrong_image, wrong_text = pairs_of(losses, 20)
    assert torch.equal(right[:, 0], right[:, 1])
    assert torch.equal(wrong_image[:, 0], right[:, 0])
    assert torch.equal(wrong_text[:, 1], right[:, 1])
    for wrong in (wrong_image, wrong_text):
        assert (losses.model.cosines[tuple(wrong.T)] == NEAREST).all()


@pytest.mark.parametrize("settings", [{"mode": "cross"}, {"match_loss": "binary"}])
def test_negatives_are_any_where_nothing_ranks_them(tmp_path: Path, settings: dict[str, str]) -> None:
    _, *wrong = pairs_of(losses_of(tmp_path, ring(NEAREST), **settings), 60)
    for pairs in wrong:
        assert len(pairs.unique(dim=0)) == 5 * 4
        assert (pairs[:, 0] != pairs[:, 1]).all()


@pytest.mark.parametrize("settings", [{}, {"match_loss": "binary"}, {"mode": "cross"}])
def test_what_is_also_true_is_never_a_negative(tmp_path: Path, settings: dict[str, str]) -> None:
    """Each text is also true of the next picture, which the twin encoder ranks second."""
    also = {text: [(text + 1) % 5] for text in range(5)}
    losses = losses_of(tmp_path, ring(NEAREST, SECOND), also, **settings)
    _, *wrong = pairs_of(losses, 30)
    for pairs in wrong:
        ahead = (pairs[:, 1] - pairs[:, 0]) % 5
        assert set(ahead.tolist()) == {2, 3, 4} if settings else {2}


@pytest.mark.parametrize("twin_loss", ["info_nce", "sigmoid", "triplet"])
def test_what_is_also_true_does_not_count_in_the_twin_loss(tmp_path: Path, twin_loss: str) -> None:
    cosines = ring(NEAREST, SECOND)
    losses = losses_of(tmp_path, cosines, {0: [1], 3: [4]}, mode="twin", twin_loss=twin_loss)
    true = torch.eye(5, dtype=torch.bool)
    true[0, 1] = true[3, 4] = True

    def expected(also_true: Tensor) -> float:
        texts, images, scale = torch.eye(5), cosines.T, torch.tensor(1 / losses.model.config.temperature)
        return {
            "info_nce": lambda: info_nce(texts, images, scale, also_true, texts[:0]),
            "sigmoid": lambda: pairwise_sigmoid(texts, images, scale, torch.tensor(-10.0), also_true),
            "triplet": lambda: hardest_triplet(texts, images, MARGIN, also_true),
        }[twin_loss]().item()

    assert losses.step(0)["twin"].item() == pytest.approx(expected(true), rel=1e-4)
    assert expected(true) < 0.95 * expected(torch.eye(5, dtype=torch.bool))


@pytest.mark.parametrize(("also", "kept"), [({0: [1, 2]}, {1, 2}), ({0: [2], 1: [2]}, {0, 1})])
def test_what_has_no_wrong_counterpart_in_the_batch_is_left_out(tmp_path: Path, also, kept: set[int]) -> None:
    right, *_ = pairs_of(losses_of(tmp_path, ring(NEAREST, rows=3), also), 3)
    assert set(right[:, 0].tolist()) == kept


def test_a_batch_without_a_wrong_pair_has_no_match_loss(tmp_path: Path) -> None:
    terms = losses_of(tmp_path, ring(NEAREST, rows=2), {0: [1], 1: [0]}).step(0)
    assert (terms["match"].item(), terms["rank"].item()) == (0, 0)
    (terms["match"] + terms["rank"]).backward()


def test_the_match_is_told_from_a_wrong_picture_and_from_a_wrong_text(tmp_path: Path) -> None:
    losses = losses_of(tmp_path, ring(NEAREST, SECOND))
    terms = losses.step(0)
    right, *wrong = (losses.model.logits[tuple(pairs.T)] for pairs in losses.model.pairs)
    both = torch.stack(wrong, dim=1)
    assert not torch.equal(*wrong)
    assert terms["match"].item() == pytest.approx(binary_match(right, both.mean(dim=1)).item(), rel=1e-5)
    assert terms["rank"].item() == pytest.approx(ranked_match(right, both).item(), rel=1e-5)


@pytest.mark.parametrize(("mode", "weight"), [("joint", 7.0), ("cross", 0.0)])
def test_pairs_are_ranked_with_what_the_twin_encoder_says_of_them(tmp_path: Path, mode: str, weight: float) -> None:
    losses = losses_of(tmp_path, ring(NEAREST, SECOND), mode=mode)
    model = losses.model
    model.config = replace(model.config, cosine_weight=7.0)
    terms = losses.step(0)
    said = model.logits + weight * model.cosines
    right, *wrong = (said[tuple(pairs.T)] for pairs in model.pairs)
    assert terms["rank"].item() == pytest.approx(ranked_match(right, torch.stack(wrong, dim=1)).item(), rel=1e-5)
    right, *wrong = (model.logits[tuple(pairs.T)] for pairs in model.pairs)
    alone = binary_match(right, torch.stack(wrong, dim=1).mean(dim=1))
    assert terms["match"].item() == pytest.approx(alone.item(), rel=1e-5)


def test_a_binary_match_takes_the_wrong_picture_or_the_wrong_text(tmp_path: Path) -> None:
    """Of two pairs, each takes either wrong pair: the loss is of the one twice, of the other twice, or of both."""
    losses = losses_of(tmp_path, ring(0.0, rows=2), match_loss="binary")
    losses.model.logits = torch.tensor([[50.0, 1.0], [2.0, 50.0]])
    found = [round(4 * losses.step(step)["match"].item(), 3) for step in range(40)]
    one, other = (math.log1p(math.exp(logit)) for logit in (1, 2))
    assert sorted(set(found)) == [round(total, 3) for total in (2 * one, one + other, 2 * other)]


def test_texts_of_similar_lengths_are_matched_in_one_pass(tmp_path: Path) -> None:
    losses = losses_of(tmp_path, ring(NEAREST, SECOND, rows=6), mode="joint")
    alike = losses.step(0)
    losses.model.longer = True
    assert losses.step(0) == alike
    tokens = [text.mask.sum(dim=1) for text, _ in losses.model.passes]
    assert len(tokens) == PASSES
    assert all(before.max() <= after.min() for before, after in pairwise(tokens))
    assert all(text.mask.any(dim=0).all() for text, _ in losses.model.passes), "no pass is all padding anywhere"


def test_the_match_does_not_see_some_tokens_which_depend_on_the_step(tmp_path: Path) -> None:
    seen = {}
    for name, share in (("whole", 0.0), ("some", 0.5), ("again", 0.5)):
        losses = losses_of(tmp_path / name, ring(NEAREST, SECOND, rows=6), mode="joint", drop_tokens=share)
        losses.model.longer = True
        losses.step(3)
        seen[name] = [text.mask for text, _ in losses.model.passes]
        assert all(mask[:, 0].all() for mask in seen[name])
    tokens = {name: sum(int(mask.sum()) for mask in masks) for name, masks in seen.items()}
    assert 0.4 * tokens["whole"] < tokens["some"] < 0.8 * tokens["whole"]
    assert all(map(torch.equal, seen["some"], seen["again"]))
