import json
from pathlib import Path

import pytest

from polyglance.data.corpora import Translation, read_corpus, read_translations
from polyglance.errors import DataError

SENTENCES = [f"Il y a {number} étoiles rouges." for number in range(12)]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_different_sentences_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "fr.txt", [*SENTENCES, "", SENTENCES[3], "  Une barque.  "])
    assert read_corpus(path, "fr") == [*SENTENCES, "Une barque."]


def test_of_captions_those_in_the_language(tmp_path: Path) -> None:
    rows = [{"image": "a.png", "caption": text, "language": code} for text in SENTENCES for code in ("fr", "en")]
    assert read_corpus(write(tmp_path / "captions.jsonl", [json.dumps(row) for row in rows]), "fr") == SENTENCES


@pytest.mark.parametrize(
    ("lines", "code", "reason"),
    [
        ([], "fr", "at least 10 different sentences to learn from, got 0"),
        ([SENTENCES[0]] * 500, "fr", "at least 10 different sentences to learn from, got 1"),
        (SENTENCES, "ru", "'ru', which is written in Cyrillic letters; most of its letters are Latin"),
        ([f"Красная звезда {'и звезда ' * n}" for n in range(12)], "fr", "most of its letters are Cyrillic"),
        ([str(number) for number in range(12)], "fr", "most of its letters are none at all"),
    ],
)
def test_what_teaches_nothing_is_refused(lines: list[str], code: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=reason):
        read_corpus(write(tmp_path / "corpus.txt", lines), code)


def test_a_corpus_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_bytes("\n".join(SENTENCES).encode() + b"\n\xff\xfe\n")
    with pytest.raises(DataError, match="line 13: no valid UTF-8"):
        read_corpus(path, "fr")


def test_captions_in_other_languages_are_no_corpus(tmp_path: Path) -> None:
    rows = [json.dumps({"image": "a.png", "caption": text, "language": "en"}) for text in SENTENCES]
    with pytest.raises(DataError, match="different captions in 'fr' to learn from, got 0"):
        read_corpus(write(tmp_path / "captions.jsonl", rows), "fr")


def test_translations_are_into_a_language_that_the_model_knows(tmp_path: Path) -> None:
    path = write(
        tmp_path / "pairs.jsonl",
        [
            '{"fr": "Un chien.", "de": "Ein Hund.", "en": "A dog."}',
            '{"es": "Un gato.", "fr": "Un chat.", "de": "Eine Katze."}',
        ],
    )
    assert read_translations(path, "fr", ("en", "de")) == [
        Translation("Un chien.", "A dog.", "en"),
        Translation("Un chat.", "Eine Katze.", "de"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"en": "A dog."}', "line 1: fr is missing"),
        ('{"fr": "Un chien.", "it": "Un cane."}', "expected 'fr' beside a language that the model knows, en, de"),
        ('{"fr": "Un chien.", "en": 3}', "expected en to be a text, got 3"),
        ("Un chien.", "no JSON"),
    ],
)
def test_a_wrong_line_is_named(line: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=reason):
        read_translations(write(tmp_path / "pairs.jsonl", [line]), "fr", ("en", "de"))
