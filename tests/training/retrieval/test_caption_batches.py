from pathlib import Path

import pytest
import torch

from polyglance.data.captions import Caption
from polyglance.data.tokenization import Tokenizer
from polyglance.errors import DataError
from polyglance.training.retrieval.caption_batches import CaptionSource, texts_too_long

A, B, C = (Path(f"{name}.png") for name in "abc")
CAPTIONS = [Caption(A, "a"), Caption(B, "b"), Caption(A, "a again"), Caption(C, "c", also=(B, Path("elsewhere.png")))]


def test_every_epoch_sees_every_caption_once_in_an_order_of_its_own() -> None:
    source = CaptionSource(CAPTIONS, 2, seed=0)
    assert source.batches_an_epoch == 2
    epochs = [[text for step in (2 * epoch, 2 * epoch + 1) for text in source(step).texts] for epoch in range(6)]
    assert all(sorted(epoch) == ["a", "a again", "b", "c"] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert source(3).texts == CaptionSource(CAPTIONS, 2, seed=0)(3).texts
    assert source.images == (A, B, C)


def test_what_is_true_of_a_picture_of_the_batch_is_marked() -> None:
    batch = CaptionSource(CAPTIONS, 9, seed=1)(0)
    place = {text: number for number, text in enumerate(batch.texts)}
    expected = torch.eye(4, dtype=torch.bool)
    for one, other in (("a", "a again"), ("a again", "a"), ("c", "b")):
        expected[place[one], place[other]] = True
    assert torch.equal(batch.also_true, expected)
    assert batch.rows[place["c"]] == 2


def test_long_texts_are_counted_and_letters_that_nobody_taught_are_refused() -> None:
    tokenizer = Tokenizer.train(["a red star on a white plate", "красная звезда"], 400)
    captions = [
        *(Caption(A, text, "en") for text in ("a red star", "🎉🎉", "a red plate on a white star")),
        Caption(B, "красная", "ru"),
    ]
    assert texts_too_long(captions, tokenizer, 5) == 2
    assert texts_too_long(captions, tokenizer, 50) == 0
    strange = [*captions, Caption(B, "ดาวสีแดง", "th"), Caption(B, "ดาวสีขาว", "th"), Caption(C, "赤い星", "ja")]
    with pytest.raises(DataError, match=r"cannot spell captions in th \('ดาวสีแดง'\); ja \('赤い星'\): leave them out"):
        texts_too_long(strange, tokenizer, 50)


def test_one_picture_is_nothing_to_tell_apart() -> None:
    with pytest.raises(DataError, match="captions of two pictures or more to train on, got 1"):
        CaptionSource([CAPTIONS[0], CAPTIONS[2]], 2, seed=0)
    with pytest.raises(DataError, match="got 0"):
        CaptionSource([], 2, seed=0)


def test_a_caption_stands_beside_one_of_a_picture_mined_for_it_and_comes_once() -> None:
    pictures = [Path(f"{number}.png") for number in range(8)]
    captions = [Caption(picture, f"{picture.stem} {code}", code) for picture in pictures for code in ("en", "de")]
    mined = torch.tensor([[picture ^ 1, -1] for picture in range(8) for _ in range(2)])
    source = CaptionSource(captions, 4, seed=0)
    orders = []
    for epoch in range(2):
        texts = [text for step in range(4) for text in source(4 * epoch + step, mined).texts]
        assert sorted(texts) == sorted(caption.caption for caption in captions)
        for one, other in zip(texts[::2], texts[1::2], strict=True):
            assert int(one[0]) ^ 1 == int(other[0])
            assert one[2:] == other[2:]
        orders.append(texts)
    assert orders[0] != orders[1]
    nothing = torch.full((16, 2), -1)
    assert CaptionSource(captions, 4, seed=0)(1, nothing).texts == CaptionSource(captions, 4, seed=0)(1).texts
