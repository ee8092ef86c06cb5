"""Makes the experiment's tables in Markdown from its rows. A mean is given only if all its languages were measured.

`xgqa_choice` and `xgqa_choice_controls` are for the development pictures, all others are for the test pictures. All
tables except those of the seeds are for the first seed: bodies of different seeds differ, and not every way was
measured for each.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from statistics import fmean
from typing import Any

from docs.markdown import table
from experiments.xgqa.corpora import SOURCE_LANGUAGE, TARGETS

Rows = Sequence[dict[str, Any]]
LANGUAGES = (SOURCE_LANGUAGE, *TARGETS)


def tables(rows: Rows) -> str:
    """Returns all tables for which there are rows."""
    return "\n\n".join(text for draw in TABLES.values() if (text := draw(rows)))


def zero_shot(rows: Rows) -> str:
    """One row per way, one column per language: the accuracy without training questions in the language."""
    return _by_language(rows, _accuracy)


def controls(rows: Rows) -> str:
    """One row per body, in English, and one per way, with the mean of the other languages: the controls of the same
    models."""
    lines = [_controlled(f"{row['body']} body in English", [row]) for row in _of(rows, "body")]
    for way, by_code in _ways(_of(rows, "zero")).items():
        there = [row for some in by_code.values() for row in some]
        if there:
            lines.append(_controlled(way, there))
    head = ["%, mean of the languages measured", "accuracy", "blank picture", "another picture", "most frequent answer"]
    return table(head, lines) if lines else ""


def _controlled(name: str, rows: Rows) -> list[str]:
    means = [fmean(row["controls"][control] for row in rows) for control in ("blank", "shuffled", "most_frequent")]
    return [name, f"{fmean(row['accuracy'] for row in rows):.1f}", *(f"{mean:.1f}" for mean in means)]


def structural(rows: Rows) -> str:
    """One row per way, one column per structural type; the mean of all languages except English."""
    lines = []
    rows = _of(rows, "zero")
    kinds = sorted({kind for row in rows for kind in row["by_structural"]})
    for way, by_code in _ways(rows).items():
        there = [row for some in by_code.values() for row in some]
        if there:
            lines.append([way, *(f"{fmean(row['by_structural'][kind] for row in there):.1f}" for kind in kinds)])
    return table(["%, mean of the languages measured", *kinds], lines) if lines else ""


def recall(rows: Rows) -> str:
    """One row per way, one column per language: R@1 of text to image by the twin encoder."""
    return _by_language(rows, lambda row: row["twin_R@1"])


def coop(rows: Rows) -> str:
    """The table of `recall` with the best 20 candidates reranked."""
    return _by_language([row for row in rows if "coop_R@1" in row], lambda row: row["coop_R@1"])


def few_shot(rows: Rows) -> str:
    """One row per way, one column per number of pictures.

    A row is the mean of the languages that were measured at the most numbers of pictures. If every language was
    measured, another row is the mean of all. A cell is empty if one of its languages is missing.
    """
    counts = [0, *sorted({row["shots"] for row in _of(rows, "few")})]
    zero, english = _ways(_of(rows, "zero")), _english(rows, _accuracy)
    lines = []
    for way, by_code in _ways(_of(rows, "few")).items():
        measured = {code: {row["shots"] for row in by_code[code]} for code in TARGETS if code in by_code}
        most = max(map(len, measured.values()))
        told = {tuple(code for code, shots in measured.items() if len(shots) == most)}
        if len(measured) == len(TARGETS):
            told.add(TARGETS)
        there = [*chain(*by_code.values(), *zero.get(way, {}).values())]
        body = next((row["body"] for row in there if "body" in row), "")
        for codes in sorted(told, key=len):
            cells = [_mean_of(codes, [row for row in there if row.get("shots", 0) == count]) for count in counts]
            names = "all" if codes == TARGETS else ", ".join(codes)
            lines.append([way, names, *cells, f"{english[body]:.1f}" if body in english else ""])
    return table(["%, by pictures", "languages", *map(str, counts), "en, 0"], lines) if lines else ""


def _mean_of(codes: Sequence[str], rows: Rows) -> str:
    """Returns the mean accuracy over these languages; empty if one was not measured."""
    found = [[row["accuracy"] for row in rows if row["language"] == code] for code in codes]
    return f"{fmean(map(fmean, found)):.1f}" if all(found) else ""


def zero_seeds(rows: Rows) -> str:
    """One row per seed of each way that was measured with several seeds: the mean of the languages that were measured
    with each, without few-shot training, and the drop from English."""
    return _by_seed(rows, (0,))


def seeds(rows: Rows) -> str:
    """The table of `zero_seeds` for the languages that were also measured with the most pictures, and the same with
    these."""
    most = max((row["shots"] for row in rows if "shots" in row), default=0)
    return _by_seed(rows, (0, most)) if most else ""


def _by_seed(rows: Rows, counts: Sequence[int]) -> str:
    """counts: the numbers of pictures of few-shot training."""
    rows = [row for row in rows if row["part"] in ("body", "zero", "few")]
    lines = []
    for way, body in {row["way"]: row["body"] for row in rows if row["part"] == "zero"}.items():
        found: dict[int, dict[tuple[str, int], float]] = {}
        for row in rows:
            if row.get("way") == way:
                found.setdefault(row["seed"], {})[row["language"], row.get("shots", 0)] = row["accuracy"]
        wanted = {code: {(code, shots) for shots in counts} for code in TARGETS}
        codes = [code for code, cells in wanted.items() if all(cells <= there.keys() for there in found.values())]
        for seed, there in sorted(found.items()) if len(found) > 1 and codes else ():
            english = _english([row for row in rows if row["seed"] == seed], _accuracy)[body]
            means = [fmean(there[code, shots] for code in codes) for shots in counts]
            cells = [cell for mean in means for cell in (f"{mean:.1f}", f"{english - mean:.1f}")]
            names = "all" if codes == [*TARGETS] else ", ".join(codes)
            lines.append([way, names, str(seed), f"{english:.1f}", *cells])
    named = [name for shots in counts for name in (f"after {shots} pictures" if shots else "zero-shot", "drop")]
    return table(["%", "languages", "seed", "en", *named], lines) if lines else ""


def costs(rows: Rows) -> str:
    """One row per way: the size of a language and its perplexity, if masked tokens were predicted."""
    lines = []
    for way, by_code in _ways(_of(rows, "zero")).items():
        there = [row for some in by_code.values() for row in some if "bytes" in row]
        if there:
            size = max(row["bytes"] for row in there) / 1e6
            told = [row["perplexity"] for row in there if "perplexity" in row]
            before, after = map(fmean, zip(*told, strict=True)) if told else (0, 0)
            cells = [f"{before:,.0f}", f"{after:,.1f}"] if told else ["", ""]
            lines.append([way, f"{size:.1f}", *cells])
    head = ["", "MB per language, at most", "perplexity of a hidden subword before", "after"]
    return table(head, lines) if lines else ""


def ninth(rows: Rows) -> str:
    """One row per source from which the language was learned, after one for English."""
    lines = []
    for row in _of(rows, "ninth"):
        before, after = row.get("perplexity", (None, None))
        told = f"{before:,.0f}, {after:,.1f}" if before else ""
        size = f"{row['bytes'] / 1e6:.1f}" if "bytes" in row else ""
        minutes = f"{row['minutes']:.1f}" if "minutes" in row else ""
        found = [row["accuracy"], row["controls"]["blank"], row["twin_R@1"], row["coop_R@1"]]
        lines.append([f"{row['language']}, {row['way']}", *(f"{value:.1f}" for value in found), told, minutes, size])
    head = ["language, way", "accuracy, %", "blank picture, %", "twin R@1, %", "coop R@1, %"]
    return table([*head, "perplexity before, after", "minutes", "MB"], lines) if lines else ""


def _accuracy(row: dict[str, Any]) -> float:
    accuracy: float = row["accuracy"]
    return accuracy


def of_first_seed(rows: Rows) -> Rows:
    first = min((row["seed"] for row in rows), default=0)
    return [row for row in rows if row["seed"] == first]


def _of(rows: Rows, part: str) -> Rows:
    return [row for row in of_first_seed(rows) if row["part"] == part]


def _ways(rows: Rows) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Groups the rows by way and language."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        found.setdefault(row["way"], {}).setdefault(row["language"], []).append(row)
    return found


def _by_language(rows: Rows, value: Callable[[dict[str, Any]], float]) -> str:
    """One row per way, one column per language; the value for English is that of the way's body."""
    english = _english(rows, value)
    lines = []
    for way, by_code in _ways(_of(rows, "zero")).items():
        body = next(row["body"] for some in by_code.values() for row in some)
        means = {SOURCE_LANGUAGE: english[body]} if body in english else {}
        means |= {code: fmean(value(row) for row in some) for code, some in by_code.items()}
        mean = drop = ""
        if set(LANGUAGES) <= means.keys():
            others = fmean(means[code] for code in TARGETS)
            mean, drop = f"{others:.1f}", f"{means[SOURCE_LANGUAGE] - others:.1f}"
        cells = [f"{means[code]:.1f}" if code in means else "" for code in LANGUAGES]
        lines.append([way, *cells, mean, drop])
    return table(["%", *LANGUAGES, "mean without en", "drop from en"], lines) if lines else ""


def _english(rows: Rows, value: Callable[[dict[str, Any]], float]) -> dict[str, float]:
    """Returns the value for English of each body."""
    return {row["body"]: value(row) for row in _of(rows, "body")}


def of_split(rows: Rows, split: str) -> Rows:
    return [row for row in rows if row["split"] == split]


def _on(split: str, draw: Callable[[Rows], str]) -> Callable[[Rows], str]:
    return lambda rows: draw(of_split(rows, split))


TABLES: Mapping[str, Callable[[Rows], str]] = {
    "xgqa_choice": _on("dev", zero_shot),
    "xgqa_choice_controls": _on("dev", controls),
    "xgqa_zero_shot": _on("test", zero_shot),
    "xgqa_controls": _on("test", controls),
    "xgqa_structural": _on("test", structural),
    "xgqa_recall": _on("test", recall),
    "xgqa_coop": _on("test", coop),
    "xgqa_few_shot": _on("test", few_shot),
    "xgqa_zero_seeds": _on("test", zero_seeds),
    "xgqa_seeds": _on("test", seeds),
    "xgqa_costs": _on("test", costs),
    "xgqa_ninth": _on("test", ninth),
}
"""The tables by their names in the documentation."""
