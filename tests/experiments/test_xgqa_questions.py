"""What is measured of real questions without their pictures: words by hand, and tables from rows."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, pre_tokenizers
from tokenizers.models import Unigram

from experiments.xgqa_questions.__main__ import blind_rows, detection_rows, spelling_row
from experiments.xgqa_questions.tables import TABLES
from polyglance.data.questions import Question
from polyglance.data.tokenization import Tokenizer
from polyglance.errors import DataError
from polyglance.languages import DEMO_LANGUAGES
from polyglance.models import load_model


def asked(*texts: str) -> list[Question]:
    return [Question(Path(), text, "yes") for text in texts]


def test_words_are_counted_as_they_are_spelled() -> None:
    tokenizer = Tokenizer.train(["a red star"] * 3, 300)
    row = spelling_row("tiny", tokenizer, "en", asked("Red star, qpx?", "Звезда red"))
    assert row["words"] == 5
    assert row["by_letters"] == 40  # qpx, and звезда, of which no letter is a subword either
    assert row["unknown"] == 20
    assert row["subwords_a_word"] == pytest.approx((1 + 1 + 4 + 13 + 1) / 5)
    chinese = spelling_row("tiny", tokenizer, "zh", asked("红色?"))
    assert (chinese["words"], chinese["unknown"], chinese["by_letters"]) == (2, 100, None)


def test_subwords_of_a_published_tokenizer_are_counted_as_they_are_within_a_sentence() -> None:
    """It puts a space before every text, marks it in its subwords, and has one subword for all unknown letters."""
    pieces = [
        ("<pad>", 0.0),
        ("<mask>", 0.0),
        ("<unk>", -9.0),
        *((piece, -1.0) for piece in ["▁", "▁red", "红", "s", "t"]),
    ]
    fast = FastTokenizer(Unigram(pieces, unk_id=2))
    fast.pre_tokenizer, fast.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer = Tokenizer(fast)
    row = spelling_row("tiny", tokenizer, "en", asked("red st", "红"))
    assert row["subwords_a_word"] == pytest.approx((1 + 3 + 2) / 3)
    assert (row["unknown"], row["by_letters"]) == (0, pytest.approx(33.33))
    chinese = spelling_row("tiny", tokenizer, "zh", asked("红色"))
    assert (chinese["subwords_a_word"], chinese["unknown"]) == (1, 50)


def test_first_words() -> None:
    rows = list(detection_rows("de", asked("was ist das für ein Stern"), DEMO_LANGUAGES))
    assert [row["words"] for row in rows] == [1, 2, 3, "all"]
    assert rows[-1]["right"] == 100
    assert [row["right"] for row in detection_rows("zh", asked("红色的星星"), DEMO_LANGUAGES)] == [100] * 4


@pytest.mark.parametrize(("picture", "number", "what"), [("b.jpg", "1", "question"), ("a.jpg", "2", "picture")])
def test_what_was_trained_on_is_not_asked(picture: str, number: str, what: str) -> None:
    train = [Question(Path("train/a.jpg"), "is it red?", "yes", id="1")]
    dev = [Question(Path("dev") / picture, "is it blue?", "no", id=number)]
    with pytest.raises(DataError, match=f"expected each {what} in one split"):
        list(blind_rows("ours", load_model(), train, dev, {}))


def test_tables_have_a_column_a_language() -> None:
    common = {"language": "de", "tokenizer": "tiny", "among": 8, "words": 1, "shots": 0}
    published = {"0": {"accuracy": 30.0, "gain": 1.0, "gain_interval": [-1.0, 2.0]}}
    rows = [
        {"part": "spelling", **common, "subwords_a_word": 1.5, "unknown": 0.0, "by_letters": None},
        {"part": "detection", **common, "right": 85.7},
        {"part": "agreement", **common, "with_others": 40.0, "with_english": None, "accuracy": 30.0},
        {"part": "blind", **common, "accuracy": 29.0, "interval": [27.0, 31.0], "by_structural": {"query": 12.0}}
        | {"most_frequent": 21.0, "published": published},
    ]
    for draw in TABLES.values():
        head, _, *lines = draw(rows).splitlines()
        assert head.endswith("| de |")
        assert lines
    assert "| UC2, 0 pictures | 30.0 |\n| tiny: 95 % interval of its gain over words alone | -1.0 to 2.0 |" in TABLES[
        "xgqa_blind"
    ](rows)
