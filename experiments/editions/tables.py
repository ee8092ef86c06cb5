"""Makes the tables of editions in Markdown from their rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from docs.markdown import table

Rows = Sequence[dict[str, Any]]
SYSTEMS = ("twin", "coop")
EDITIONS = ("scenes-mini", "polyglance-mini")
"""The names of the bundled model's editions."""


@dataclass(frozen=True)
class Line:
    """A measure. part, kind: of its rows. value: of a row. to_reach: by the second edition."""

    name: str
    part: str
    value: Callable[[dict[str, Any]], Sequence[float]]
    languages: Callable[[str], bool]
    to_reach: str
    kind: str | None = None


def _recalls(*cutoffs: int) -> Callable[[dict[str, Any]], Sequence[float]]:
    return lambda row: [row[f"R@{at}"] for at in cutoffs]


def _english(code: str) -> bool:
    return code == "en"


def _other(code: str) -> bool:
    return code != "en"


LINES = (
    Line("photographs by captions, R@10: en", "flickr8k", _recalls(10), _english, "25"),
    Line("- de, cs, zh", "flickr8k", _recalls(10), _other, "18"),
    Line("Twitter's emoji by names, R@1 / R@10: en", "twitter", _recalls(1, 10), _english, "45 / 75"),
    Line("- the other seven", "twitter", _recalls(1, 10), _other, "35 / 65"),
    Line("Apple's emoji by names, R@1 / R@10: en", "apple", _recalls(1, 10), _english, "45 / 75"),
    Line("- the other seven", "apple", _recalls(1, 10), _other, "35 / 65"),
    Line("Noto's emoji by names never met, R@1: en", "noto", _recalls(1), _english, "60", "held-out names"),
    Line("- the other seven", "noto", _recalls(1), _other, "40", "held-out names"),
    Line("Noto's emoji by keywords, R@10: en", "noto", _recalls(10), _english, "45", "keywords"),
    Line("- the other seven", "noto", _recalls(10), _other, "30", "keywords"),
    Line("clip art by titles, R@10: en", "openclipart", _recalls(10), _english, "35"),
)


def measures(rows: Rows) -> str:
    """Measures down, models and systems across: the mean over languages."""
    rows = [row for row in rows if "unknown" not in row]
    columns = [
        (model, system)
        for model in dict.fromkeys(row["model"] for row in rows)
        for system in SYSTEMS
        if any((row["model"], row["system"]) == (model, system) for row in rows)
    ]
    lines = []
    for line in LINES:
        found = [
            row
            for row in rows
            if row["part"] == line.part
            and row.get("kind") == (line.kind or row.get("kind"))
            and line.languages(row["language"])
        ]
        cells = [_mean(line, [row for row in found if (row["model"], row["system"]) == column]) for column in columns]
        chance = _cell(line.value(found[0]["chance"])) if found else ""
        lines.append([line.name, chance, line.to_reach, *cells])
    return table(["%, mean of the languages", "chance", "second edition: at least", *map(", ".join, columns)], lines)


def bundled(rows: Rows) -> str:
    """As `measures`, of the editions of the bundled model alone."""
    return measures([row for row in rows if row["model"] in EDITIONS])


def _mean(line: Line, rows: Rows) -> str:
    return _cell([fmean(values) for values in zip(*map(line.value, rows), strict=True)])


def _cell(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.1f}" for value in values)


def by_language(rows: Rows) -> str:
    """Kinds of query, models and systems down, languages across: R@1 / R@10."""
    rows = [row for row in rows if "R@10" in row]
    languages = list(dict.fromkeys(row["language"] for row in rows))
    lines = []
    for line in dict.fromkeys((row["part"], row["kind"], row["model"], row["system"]) for row in rows):
        found = {
            row["language"]: row for row in rows if (row["part"], row["kind"], row["model"], row["system"]) == line
        }
        part, kind, *of_model = line
        cells = [_cell(_recalls(1, 10)(found[code])) if code in found else "" for code in languages]
        lines.append([f"{part}, {kind}", ", ".join(of_model), *cells])
    return table(["R@1 / R@10, %", "", *languages], lines)


def unknown(rows: Rows) -> str:
    """Pictures down, models across: how often the answer is that a picture like this is unknown."""
    rows = [row for row in rows if "unknown" in row]
    models = list(dict.fromkeys(row["model"] for row in rows))
    share = {(row["part"], row["model"]): f"{row['unknown']:.1f}" for row in rows}
    asked = {row["part"]: f"{row['asked']:,}" for row in rows}
    lines = [[part, count, *(share.get((part, model), "") for model in models)] for part, count in asked.items()]
    return table(["unknown, %", "questions", *models], lines)


def scenes(rows: Rows) -> str:
    """Figures of the scene table down, models and systems across: English, and the lowest of the languages."""
    rows = [row for row in rows if row["part"] == "scenes" and "unknown" not in row]
    columns = list(dict.fromkeys((row["model"], row["system"]) for row in rows if row["system"] in SYSTEMS))
    values: dict[str, Callable[[dict[str, Any]], float]] = {
        "text to image R@1": lambda row: row["text_to_image"]["R@1"],
        "- naming seen (kind, colour) pairs only": lambda row: row["text_to_image_R@1_seen_pairs"],
        "- naming an unseen pair": lambda row: row["text_to_image_R@1_unseen_pairs"],
        "- with 1,470 emoji in the pool": lambda row: row["text_to_image_among_emoji"]["R@1"],
        "image to text R@1": lambda row: row["image_to_text"]["R@1"],
    }
    lines = []
    for name, value in values.items():
        of_column = [[row for row in rows if (row["model"], row["system"]) == column] for column in columns]
        lines.append([name, *(_english_and_lowest(found, value) for found in of_column)])
    return table(["%: en (lowest of eight languages)", *map(", ".join, columns)], lines)


def templates(rows: Rows) -> str:
    """Templates of questions down, their number and models across: English, and the lowest of the languages."""
    rows = [row for row in rows if row["part"] == "scenes" and "accuracy" in row]
    models = list(dict.fromkeys(row["model"] for row in rows))
    kinds: dict[str, Callable[[dict[str, Any]], float]] = {"all questions": lambda row: row["accuracy"]}
    for name in rows[0]["by_template"] if rows else ():
        kinds[name] = lambda row, name=name: row["by_template"][name]
    asked = {"all questions": rows[0]["questions"], **rows[0]["questions_by_template"]} if rows else {}
    lines = [
        [
            name,
            f"{asked[name]:,}",
            *(_english_and_lowest([row for row in rows if row["model"] == model], value) for model in models),
        ]
        for name, value in kinds.items()
    ]
    return table(["exact answers, %: en (lowest of eight languages)", "questions", *models], lines)


def _english_and_lowest(rows: Rows, value: Callable[[dict[str, Any]], float]) -> str:
    english = [value(row) for row in rows if row["language"] == "en"]
    return f"{english[0]:.1f} ({min(map(value, rows)):.1f})" if english else ""


TABLES: Mapping[str, Callable[[Rows], str]] = {
    "editions": measures,
    "editions_bundled": bundled,
    "editions_languages": by_language,
    "editions_unknown": unknown,
    "editions_scenes": scenes,
    "editions_templates": templates,
}
"""The tables by their names in the documentation."""
