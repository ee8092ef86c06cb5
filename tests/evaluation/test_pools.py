from pathlib import Path

import pytest

from polyglance.data.captions import Caption
from polyglance.errors import DataError
from polyglance.evaluation.pools import Pool, pools

A, B, C = (Path(f"{name}.png") for name in "abc")


def test_a_pool_has_the_captions_of_a_split_in_a_language_and_all_pictures_that_they_fit() -> None:
    captions = [
        Caption(A, "a or b", split="test", also=(B, Path("elsewhere.png"))),
        Caption(B, "b", split="test"),
        Caption(A, "a", split="test"),
        Caption(C, "c", split="train"),
        Caption(C, "rot", language="de", split="test"),
    ]
    english, german = pools(captions, "test")
    assert english == Pool("en", ("a or b", "b", "a"), (A, B), ((0, 1), (1,), (0,)))
    assert german == Pool("de", ("rot",), (C,), ((0,),))
    assert english.right("text_to_image") == ({0, 1}, {1}, {0})
    assert english.right("image_to_text") == ({0, 2}, {0, 1})
    assert pools(captions, "test", ["de"]) == (german,)
    with pytest.raises(DataError, match="captions of the split val, but there are only those of test, train"):
        pools(captions, "val")
    with pytest.raises(DataError, match="expected captions in fr, but there are only those in en, de"):
        pools(captions, "test", ["de", "fr"])


def test_folds_keep_the_texts_of_their_own_pictures() -> None:
    pool = Pool("en", ("a or b", "b", "c"), (A, B, C), ((0, 1), (1,), (2,)))
    first, second, third = pool.folds(3)
    assert first == Pool("en", ("a or b",), (A,), ((0,),))
    assert (second.texts, third.texts) == (("b",), ("c",))
    assert pool.folds(1) == (pool,)
    assert pool.without([A]) == Pool("en", ("b", "c"), (B, C), ((0,), (1,)))
