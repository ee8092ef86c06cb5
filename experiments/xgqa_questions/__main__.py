"""Measures what xGQA's 2,912 real questions in eight languages reveal without their pictures.

    python -m experiments.xgqa_questions [--data FOLDER] [--model NAME_OR_FOLDER ...] [--output FOLDER]

It measures how a model's tokenizer splits them; how well their language is detected from all words and from the first
ones; how often a published model (UC2, in IGLUE's runs) gives the same answer to a question in two languages; and how
many answers the subwords alone give, trained on train_48 and tested on dev, compared with that model with pictures on
the same questions. Without --model, the tokenizers are the bundled model's and that of multilingual E5, which must have
been fetched (`python -m experiments.weights`).
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from experiments.results import RESULTS, Row, write_results
from experiments.splits import require_disjoint
from experiments.weights.folders import weights_folder
from polyglance.data.predictions import LANGUAGE
from polyglance.data.questions import Question, read_questions
from polyglance.data.tokenization import Tokenizer
from polyglance.evaluation.answers import AnswerScores, agreement, compare_answers, score_files
from polyglance.evaluation.controls import controlled_report, most_frequent, scores_by_language
from polyglance.evaluation.measures import Difference
from polyglance.languages import AUTO, DEMO_LANGUAGES, detect
from polyglance.models import BUNDLED, load_model
from polyglance.models.checkpoint import load_folder
from polyglance.models.families.single_stream import SingleStreamModel, as_single_stream
from polyglance.models.importing.conversion import import_checkpoint
from polyglance.models.protocol import SubwordReader
from polyglance.training.blind import answer_blind

MORE_LANGUAGES = ("fr", "es")
"""Languages that a user may have added; no question is in one of them."""
WORDS = (1, 2, 3, None)
E5 = "multilingual-e5-small"
_BROKEN = "\ufffd"
"""The character for bytes that are not a whole letter in a decoded subword."""
_UNKNOWN = "<unk>"
"""The subword for unknown letters in published tokenizers."""
SHOTS = {0: "zero_shot", 48: "few_shot"}


def spelling_row(name: str, tokenizer: Tokenizer, language: str, questions: Sequence[Question]) -> Row:
    """Measures how a tokenizer splits words as they stand within a sentence; in Chinese each character is a word.

    unknown: the percentage of words with a letter that is split into bytes or has no subword.
    by_letters: the percentage of words of two letters or more that are split into single letters.
    """
    words = list(chain.from_iterable(_words(question.question, language) for question in questions))
    subwords = [subword.strip() for subword in tokenizer.subwords()]
    spelled = [
        [subwords[index] for index in ids]
        for ids in tokenizer.spell(words if language == "zh" else [f" {word}" for word in words])
    ]
    if language == "zh":  # some tokenizers put a space before every text, but there is none before these words
        spelled = [word if word[0] else word[1:] for word in spelled]
    unknown = sum(any(_BROKEN in subword or subword == _UNKNOWN for subword in word) for word in spelled)
    letters = sum(
        len(word) > 1 and all(len(subword) <= 1 for subword in ids) for word, ids in zip(words, spelled, strict=True)
    )
    return {
        "part": "spelling",
        "tokenizer": name,
        "language": language,
        "words": len(words),
        "subwords_a_word": round(sum(map(len, spelled)) / len(words), 3),
        "unknown": round(100 * unknown / len(words), 2),
        "by_letters": None if language == "zh" else round(100 * letters / len(words), 2),
    }


def detection_rows(language: str, questions: Sequence[Question], among: Sequence[str]) -> Iterator[Row]:
    """Yields how often the language is detected from the first words, in percent. A Chinese word counts as two
    characters."""
    for words in WORDS:
        begun = [_begin(question.question, language, words) for question in questions]
        told = [detect(text, among) for text in begun]
        yield {
            "part": "detection",
            "among": len(among),
            "words": words or "all",
            "language": language,
            "right": round(100 * told.count(language) / len(told), 2),
            "not_told": round(100 * told.count(AUTO) / len(told), 2),
        }


def detection_times(questions: Sequence[Question]) -> Row:
    """Measures language detection. first_ms: the first call, with its imports. call_us: the mean of a call."""
    started = time.perf_counter()
    detect("ein roter Stern")
    first = time.perf_counter()
    for question in questions:
        detect(question.question)
    ended = time.perf_counter()
    return {
        "part": "detection times",
        "first_ms": round(1000 * (first - started), 2),
        "call_us": round(1e6 * (ended - first) / len(questions), 1),
    }


def agreement_rows(shots: int, scores: Sequence[AnswerScores]) -> Iterator[Row]:
    """Yields how often each language's answers agree with the others, in percent, whether right or wrong."""
    alike = agreement(scores)
    (english,) = (one for one in scores if one.language == "en")
    for one in scores:
        yield {
            "part": "agreement",
            "shots": shots,
            "language": one.language,
            "questions": len(one.questions),
            "with_others": round(alike[one.language], 2),
            "with_english": None if one is english else round(agreement([english, one])["en"], 2),
            "accuracy": round(one.accuracy, 2),
        }


def blind_rows(
    name: str,
    model: SubwordReader,
    train: Sequence[Question],
    dev: Sequence[Question],
    seeing: dict[int, list[AnswerScores]],
) -> Iterator[Row]:
    """Yields the accuracy of a tokenizer's subwords alone. seeing: the scores of the published model by shots.

    Raises DataError if a question or a picture is in both `train` and `dev`.
    """
    splits = {"train": train, "dev": dev}
    require_disjoint("question", {name: [one.id for one in asked] for name, asked in splits.items()})
    require_disjoint("picture", {name: [one.image.name for one in asked] for name, asked in splits.items()})
    controls = {"most_frequent": scores_by_language(dev, most_frequent(dev, train))}
    blind = scores_by_language(dev, answer_blind(model, train, dev))
    report = controlled_report(blind, controls, {question.answer for question in train})
    gains = {shots: compare_answers(blind, scores) for shots, scores in seeing.items()}
    outside = report["outside_vocabulary"]["questions"] / len(report["by_language"])
    for language, found in report["by_language"].items():
        low, high = found["interval"]
        yield {
            "part": "blind",
            "tokenizer": name,
            "language": language,
            "questions": found["questions"],
            "accuracy": round(found["accuracy"], 2),
            "interval": [round(low, 2), round(high, 2)],
            "by_structural": {name: round(value, 2) for name, value in found["by_structural"].items()},
            "most_frequent": round(found["controls"]["most_frequent"], 2),
            "outside_vocabulary": round(100 * outside / found["questions"], 2),
            "published": {
                str(shots): {"accuracy": round(one.accuracy, 2), **_gain(gains[shots][language]["accuracy"])}
                for shots, scores in seeing.items()
                for one in scores
                if one.language == language
            },
        }


def _gain(found: Difference) -> Row:
    """Returns the gain over words alone, in points."""
    one = found.interval
    return {"gain": round(one.mean, 2), "gain_interval": [round(one.low, 2), round(one.high, 2)]}


def _words(text: str, language: str) -> list[str]:
    """Returns the words of letters, marks and digits; in Chinese, the characters."""
    found = re.findall(r"[\w\u0980-\u09FF\u200c\u200d]+", text)
    return list("".join(found)) if language == "zh" else found


def _begin(text: str, language: str, words: int | None) -> str:
    if words is None:
        return text
    return text[: 2 * words] if language == "zh" else " ".join(text.split()[:words])


def _read(folder: Path, name: str) -> list[Question]:
    """Reads the questions of a file in all languages."""
    files = (folder / "xgqa" / "few_shot" / language / f"{name}.json" for language in DEMO_LANGUAGES)
    return [question for file in files for question in read_questions(file, with_pictures=False)]


def _published(folder: Path, shots: int, gold: Sequence[Question], left_out: set[str]) -> list[AnswerScores]:
    """Reads UC2's answers to the questions of test-dev except those left out, in the order of the languages."""
    name = f"{folder}/iglue/xgqa/{SHOTS[shots]}/uc2/test_{LANGUAGE}_{shots}_result.json"
    scores = {one.language: one for one in score_files(name, gold, left_out)}
    return [scores[language] for language in DEMO_LANGUAGES]


def published_encoder(name: str) -> SingleStreamModel:
    """Returns a text encoder as a model that was trained for no task, with its own tokenizer. name: of the weights."""
    with TemporaryDirectory() as folder:
        import_checkpoint(str(weights_folder(name)), Path(folder) / name)
        return as_single_stream(load_folder(Path(folder) / name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).parents[3] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("POLYGLANCE_SHARED_DATA", here)))
    parser.add_argument("--model", action="append", help="whose tokenizer is measured")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    started = time.time()
    train, dev = (_read(arguments.data, name) for name in ("train_48", "dev"))
    testdev = read_questions(arguments.data / "iglue" / "gqa_testdev.json", with_pictures=False)
    dev_ids, train_ids = ({question.id for question in questions} for questions in (dev, train))
    asked = {code: [one for one in (*train, *dev) if one.language == code] for code in DEMO_LANGUAGES}

    rows: list[Row] = [detection_times(asked["de"])]
    for among in (DEMO_LANGUAGES, (*DEMO_LANGUAGES, *MORE_LANGUAGES)):
        for language, questions in asked.items():
            rows += detection_rows(language, questions, among)
    models = {name: load_model(name) for name in arguments.model or [BUNDLED]}
    if not arguments.model:
        models[E5] = published_encoder(E5)
    for name, model in models.items():
        rows += [spelling_row(name, model.tokenizer, language, questions) for language, questions in asked.items()]
    for shots in SHOTS:
        rows += agreement_rows(shots, _published(arguments.data, shots, testdev, dev_ids | train_ids))
    elsewhere = {question.id for question in testdev} - dev_ids
    english = [question for question in testdev if question.id in dev_ids]
    seeing = {shots: _published(arguments.data, shots, english, elsewhere) for shots in SHOTS}
    for name, model in models.items():
        rows += blind_rows(name, model, train, dev, seeing)
    for row in rows:
        print(*(f"{key}={value}" for key, value in row.items()), file=sys.stderr)
    print(f"wrote {write_results('xgqa_questions', rows, 0, started, arguments.output)}")


if __name__ == "__main__":
    main()
