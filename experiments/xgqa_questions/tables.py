"""Makes the experiment's tables in Markdown from its rows, with one column per language."""

from collections.abc import Callable, Sequence
from typing import Any

from docs.markdown import table

Row = dict[str, Any]
Rows = Sequence[Row]


def spelling(rows: Rows) -> str:
    lines: list[list[str]] = []
    found = _part(rows, "spelling")
    for name, there in _by_tokenizer(found).items():
        lines.append([f"{name}: subwords per word", *(f"{row['subwords_a_word']:.2f}" for row in there)])
        lines.append([f"{name}: unknown, %", *(f"{row['unknown']:.1f}" for row in there)])
        lines.append([f"{name}: by letters, %", *(_percent(row["by_letters"]) for row in there)])
    return table(["", *_languages(found)], lines)


def detection(rows: Rows) -> str:
    """One row per number of first words and of languages to choose from."""
    found = _part(rows, "detection")
    lines = []
    for among, words in dict.fromkeys((row["among"], row["words"]) for row in found):
        there = [row for row in found if (row["among"], row["words"]) == (among, words)]
        begun = "all words" if words == "all" else f"{words} word{'s' * (words > 1)}"
        lines.append([f"{begun}, among {among} languages", *(f"{row['right']:.1f}" for row in there)])
    return table(["right, %", *_languages(found)], lines)


def agreement(rows: Rows) -> str:
    found = _part(rows, "agreement")
    lines = []
    for shots in dict.fromkeys(row["shots"] for row in found):
        there = [row for row in found if row["shots"] == shots]
        for name, key in (
            ("the same as in another language", "with_others"),
            ("the same as in English", "with_english"),
            ("right", "accuracy"),
        ):
            lines.append([f"{name}, {shots} pictures", *(_percent(row[key]) for row in there)])
    return table(["%", *_languages(found)], lines)


def blind(rows: Rows) -> str:
    found = _part(rows, "blind")
    by_tokenizer = _by_tokenizer(found)
    lines: list[list[str]] = []
    for name, there in by_tokenizer.items():
        lines.append([f"{name}: words alone", *(f"{row['accuracy']:.1f}" for row in there)])
        lines.append([f"{name}: 95 % interval", *(_range(row["interval"]) for row in there)])
        lines += [
            [f"{name}: {kind}", *(f"{row['by_structural'][kind]:.1f}" for row in there)]
            for kind in there[0]["by_structural"]
        ]
    first = next(iter(by_tokenizer.values()))
    lines.append(["most frequent answer of each type", *(f"{row['most_frequent']:.1f}" for row in first)])
    for shots in first[0]["published"]:
        lines.append([f"UC2, {shots} pictures", *(f"{row['published'][shots]['accuracy']:.1f}" for row in first)])
        for name, there in by_tokenizer.items():
            gains = (_range(row["published"][shots]["gain_interval"]) for row in there)
            lines.append([f"{name}: 95 % interval of its gain over words alone", *gains])
    return table(["%", *_languages(found)], lines)


TABLES: dict[str, Callable[[Rows], str]] = {
    "xgqa_spelling": spelling,
    "xgqa_detection": detection,
    "xgqa_agreement": agreement,
    "xgqa_blind": blind,
}


def _part(rows: Rows, part: str) -> list[Row]:
    return [row for row in rows if row["part"] == part]


def _by_tokenizer(rows: Rows) -> dict[str, list[Row]]:
    names = dict.fromkeys(row["tokenizer"] for row in rows)
    return {name: [row for row in rows if row["tokenizer"] == name] for name in names}


def _languages(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["language"] for row in rows))


def _range(interval: Sequence[float]) -> str:
    return f"{interval[0]:.1f} to {interval[1]:.1f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
