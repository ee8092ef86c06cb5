"""Makes the experiment's tables in Markdown from its rows, with one column per language."""

from collections.abc import Callable, Sequence
from typing import Any

from docs.markdown import table

Row = dict[str, Any]
Rows = Sequence[Row]


def spelling(rows: Rows) -> str:
    lines: list[list[str]] = []
    found = _part(rows, "spelling")
    names = list(dict.fromkeys(row["tokenizer"] for row in found))
    for name in names:
        there = [row for row in found if row["tokenizer"] == name]
        of = f"{name}: " if len(names) > 1 else ""
        lines.append([f"{of}subwords per word", *(f"{row['subwords_a_word']:.2f}" for row in there)])
        lines.append([f"{of}unknown, %", *(f"{row['unknown']:.1f}" for row in there)])
        lines.append([f"{of}by letters, %", *(_percent(row["by_letters"]) for row in there)])
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
    columns: list[tuple[str, Callable[[Row], str]]] = [
        ("words alone", lambda row: f"{row['accuracy']:.1f}"),
        ("- 95 % interval", lambda row: _range(row["interval"])),
        *((f"- {kind}", lambda row, k=kind: f"{row['by_structural'][k]:.1f}") for kind in found[0]["by_structural"]),
        ("most frequent answer of each type", lambda row: f"{row['most_frequent']:.1f}"),
        *(
            line
            for shots in found[0]["published"]
            for line in (
                (f"UC2, {shots} pictures", lambda row, n=shots: f"{row['published'][n]['accuracy']:.1f}"),
                (
                    "- 95 % interval of its gain over words alone",
                    lambda row, n=shots: _range(row["published"][n]["gain_interval"]),
                ),
            )
        ),
    ]
    return table(["%", *_languages(found)], ([name, *map(cell, found)] for name, cell in columns))


TABLES: dict[str, Callable[[Rows], str]] = {
    "xgqa_spelling": spelling,
    "xgqa_detection": detection,
    "xgqa_agreement": agreement,
    "xgqa_blind": blind,
}


def _part(rows: Rows, part: str) -> list[Row]:
    return [row for row in rows if row["part"] == part]


def _languages(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["language"] for row in rows))


def _range(interval: Sequence[float]) -> str:
    return f"{interval[0]:.1f} to {interval[1]:.1f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
