from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models

from polyglance.data.tokenization import Tokenizer


def test_white_space_counts_where_a_piece_is_spelled_and_collapses_where_a_text_is_encoded() -> None:
    tokenizer = Tokenizer.train(["a red star"] * 3, 300)
    ((inside,), (alone)) = tokenizer.spell([" red", "red"])
    assert tokenizer.subwords()[inside] == " red"
    assert alone != [inside]
    np.testing.assert_array_equal(tokenizer.encode(["a  red\nstar "], 64)[0], tokenizer.encode(["a red star"], 64)[0])


def test_a_file_holds_the_text_that_identifies_it(tmp_path: Path) -> None:
    tokenizer = Tokenizer.train(["a red star"] * 3, 300)
    tokenizer.save(tmp_path / "tokenizer.json")
    assert (tmp_path / "tokenizer.json").read_text(encoding="utf-8") == tokenizer.to_json()


def test_special_tokens_are_put_around_each_text_and_are_no_text(tmp_path: Path) -> None:
    plain = Tokenizer.train(["a red star"] * 3, 300)
    Tokenizer.train(["a red star"] * 3, 300, frame=(["[CLS]"], ["[SEP]"])).save(tmp_path / "tokenizer.json")
    framed = Tokenizer.load(tmp_path / "tokenizer.json")
    assert (plain.frame, framed.frame) == (((), ()), (("[CLS]",), ("[SEP]",)))
    first, last = framed.frame_ids.values()
    (ids,), (mask,) = framed.encode(["a red star"], 64)
    assert (ids[0], ids[-1]) == (first, last)
    assert mask.all()
    assert len(ids) == len(plain.encode(["a red star"], 64)[0][0]) + 2
    assert framed.encode(["a red star " * 9], 4)[0][0, -1] == last
    assert [framed.subwords()[index] for index in (first, last)] == ["", ""]
    assert [plain.spell_subwords(framed)[index] for index in (first, last)] == [[], []]


@pytest.mark.parametrize(
    ("decoder", "names"),
    [(decoders.Metaspace(), ["\u2581größe", "ß"]), (decoders.WordPiece(), ["größe", "##ß"])],
)
def test_subwords_of_published_tokenizers_are_text(decoder: decoders.Decoder, names: list[str]) -> None:
    fast = FastTokenizer(
        models.WordPiece({name: index for index, name in enumerate(["[PAD]", "[MASK]", *names])}, unk_token="[PAD]")
    )
    fast.decoder = decoder
    assert Tokenizer(fast).subwords() == ["", "", " größe", "ß"]
