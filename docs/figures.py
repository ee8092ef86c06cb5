"""Write the tables of the documentation from `docs/results/`: `python -m docs.figures`. A test fails if one is stale.

A table stands between `<!-- NAME -->` and `<!-- /NAME -->`.
"""

import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.adapters import CASES as ADAPTER_CASES
from docs.markdown import table
from experiments.adapterdrop import tables as adapterdrop
from experiments.editions import tables as editions
from experiments.flickr8k import tables as flickr8k
from experiments.retrieval import tables as retrieval
from experiments.xgqa import tables as xgqa
from experiments.xgqa_questions import tables as xgqa_questions
from polyglance.models import BUNDLED

DOCS = Path(__file__).parent
PAGES = (
    DOCS.parent / "README.md",
    *(
        DOCS / f"{page}.md"
        for page in (
            "polyglance-mini",
            "adapters",
            "adapterdrop",
            "checkpoints",
            "retrieval",
            "retrieve-rerank",
            "flickr8k",
            "languages",
            "real-pictures",
            "questions",
            "vqa",
        )
    ),
)

Row = dict[str, Any]


def results(name: str) -> list[Row]:
    rows: list[Row] = json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))["rows"]
    return rows


def of_bundled(part: str) -> list[Row]:
    """The rows of one part of the editions, of the model in the package."""
    return [row for row in results("editions") if (row["part"], row["model"]) == (part, BUNDLED)]


def by_language(rows: Iterable[Row]) -> dict[str, Row]:
    return {row["language"]: row for row in rows}


def scenes() -> str:
    """One column per language, one row per measurement."""
    rows = of_bundled("scenes")
    twin, coop, answer = (
        by_language(row for row in rows if row["system"] == name and "unknown" not in row)
        for name in ("twin", "coop", "answer")
    )
    lines: list[tuple[str, dict[str, Row], Callable[[Row], float]]] = [
        ("text to image R@1, twin encoder alone", twin, lambda row: row["text_to_image"]["R@1"]),
        ("text to image R@1, coop", coop, lambda row: row["text_to_image"]["R@1"]),
        ("- naming seen (kind, colour) pairs only", coop, lambda row: row["text_to_image_R@1_seen_pairs"]),
        ("- naming an unseen pair", coop, lambda row: row["text_to_image_R@1_unseen_pairs"]),
        ("- with 1,470 emoji in the pool", coop, lambda row: row["text_to_image_among_emoji"]["R@1"]),
        ("image to text R@1, twin encoder alone", twin, lambda row: row["image_to_text"]["R@1"]),
        ("image to text R@1, coop", coop, lambda row: row["image_to_text"]["R@1"]),
        ("answers, exact", answer, lambda row: row["accuracy"]),
        ("- blind: a blank picture", answer, lambda row: row["controls"]["blank"]),
        ("- another picture", answer, lambda row: row["controls"]["shuffled"]),
        ("- most frequent answer of each template", answer, lambda row: row["controls"]["most_frequent"]),
    ]
    return table(["%", *answer], ([name, *(f"{of(row):.1f}" for row in chosen.values())] for name, chosen, of in lines))


def answers() -> str:
    """English and the mean of the other languages, by type of question."""
    rows = by_language(row for row in of_bundled("scenes") if "accuracy" in row)
    others = [row for language, row in rows.items() if language != "en"]
    lines = []
    for kind in ("by_structural", "by_semantic"):
        for name, value in rows["en"][kind].items():
            mean = sum(row[kind][name] for row in others) / len(others)
            lines.append((kind.removeprefix("by_"), name, f"{value:.1f}", f"{mean:.1f}"))
    return table(["", "type", "en", "mean of the others"], lines)


def emoji() -> str:
    """R@1 / R@10: one row per kind of query, one column per language."""
    rows = of_bundled("noto")
    languages = list(by_language(row for row in rows if "R@1" in row))
    lines = []
    for queries in ("seen names", "held-out names", "keywords"):
        for system in ("twin", "coop"):
            found = by_language(row for row in rows if (row["kind"], row["system"]) == (queries, system))
            lines.append(
                [f"{queries}, {system}", *(f"{found[x]['R@1']:.0f} / {found[x]['R@10']:.0f}" for x in languages)]
            )
    return table(["R@1 / R@10, %", *languages], lines)


def ran(row: Row) -> str:
    """The instruction set with which a row of a benchmark was measured."""
    return str(row.get("instruction_set", "not recorded"))


def times() -> str:
    """One row per case and instruction set."""
    lines = []
    for row in results("bench_main_job"):
        low, high = row["spread"]
        rate = f", {row['pictures_per_second']:.0f} a second" if "pictures_per_second" in row else ""
        median = f"{row['ours_ms']:,.0f} ({low:,.0f} to {high:,.0f})"
        lines.append((row["case"] + rate, ran(row), median, row["required"] or ""))
    return table(["what", "instruction set", "median ms (fastest to slowest)", "at most"], lines)


def peers() -> str:
    """One row per case and instruction set, with float32 beside bfloat16."""
    titles = [one.title for case in ADAPTER_CASES for one in case.comparisons]
    rows = sorted(
        results("bench_adapters"), key=lambda row: titles.index(row["case"]) if row["case"] in titles else len(titles)
    )
    lines = []
    for case, state in dict.fromkeys((row["case"], ran(row)) for row in rows):
        cells: list[str] = []
        for dtype in ("float32", "bfloat16"):
            found = [row for row in rows if (row["case"], ran(row), row["dtype"]) == (case, state, dtype)]
            if not found:
                cells += ["", "", ""]
                continue
            (row,) = found
            low, high = row["spread"]
            if "peer" in row:
                missed = " **" if row["required"] and row["ratio"] < row["required"] else ""
                times = f"{row['ours_ms']:,.0f} / {row['peer_ms']:,.0f}"
                wanted = f"{row['required']:g}" if row["required"] else ""
                cells += [times, f"{row['ratio']:.2f} ({low:.2f} to {high:.2f}){missed}", wanted]
            else:
                cells += [f"{row['ours_ms']:.1f} ({low:.1f} to {high:.1f})", "", f"at most {row['required']} ms"]
        lines.append([case, state, *cells])
    head = [
        f"{dtype}: {what}" for dtype in ("float32", "bfloat16") for what in ("ours / theirs, ms", "ratio", "target")
    ]
    return table(["BERT-base shape, two cores", "instruction set", *head], lines)


def kernels() -> str:
    """One row per case and instruction set, with float32 beside bfloat16."""
    rows = results("bench_kernels")
    lines = []
    for of_line in dict.fromkeys((row["case"], row["other"], ran(row)) for row in rows):
        cells: list[str] = []
        for dtype in ("float32", "bfloat16"):
            found = [row for row in rows if (row["case"], row["other"], ran(row), row["dtype"]) == (*of_line, dtype)]
            for row in found:
                low, high = row["spread"]
                cells += [
                    f"{row['ours_ms']:.2f} / {row['other_ms']:.2f}",
                    f"{row['ratio']:.2f} ({low:.2f} to {high:.2f})",
                ]
            if not found:
                cells += ["", ""]
        lines.append([*of_line, *cells])
    head = [f"{dtype}: {what}" for dtype in ("float32", "bfloat16") for what in ("ours / other, ms", "ratio")]
    return table(["what", "instead of", "instruction set", *head], lines)


def rerank() -> str:
    """One row per case and instruction set, with bfloat16 beside float32."""
    rows = results("bench_rerank")
    lines = []
    for case, state in dict.fromkeys((row["case"], ran(row)) for row in rows):
        of_case = [row for row in rows if (row["case"], ran(row)) == (case, state)]
        one, required = of_case[0], of_case[0]["required"]
        theirs = f"; theirs {one['peer_bytes']:,}" if one["peer_bytes"] else ""
        cells = [case, state, f"{one['bytes']:,} ({one['most_bytes']:,}){theirs}"]
        for dtype in ("bfloat16", "float32"):
            found = [row for row in of_case if row["dtype"] == dtype]
            for row in found:
                low, high = row["spread"]
                missed = " **" if required and row["ratio"] < required else ""
                cells += [
                    f"{row['ours_ms']:,.0f} / {row['peer_ms']:,.0f}",
                    f"{row['ratio']:.1f} ({low:.1f} to {high:.1f}){missed}",
                ]
            if not found:
                cells += ["", ""]
        lines.append([*cells, f"{required:g}" if required else ""])
    times = [f"{dtype}: {what}" for dtype in ("bfloat16", "float32") for what in ("ours / theirs, ms", "ratio")]
    head = ["20 pictures for one text, two cores", "instruction set", "bytes per picture (limit)", *times, "target"]
    return table(head, lines)


def index() -> str:
    """One row per case, dtype and instruction set."""
    lines = []
    for row in results("bench_index"):
        memory = f"{row['peak_mib_at_a_quarter']:,} / {row['peak_mib_at_the_end']:,}"
        lines.append([row["case"], row["dtype"], ran(row), *_ratio(row), row["peer_batch"], memory])
    head = [
        "ours / theirs, ms per picture",
        "ratio",
        "target",
        "their batch",
        "our peak memory after a quarter / at the end, MiB",
    ]
    return table(["indexing JPEG files, two cores", "", "instruction set", *head], lines)


def export() -> str:
    """One row per checkpoint and instruction set."""
    lines = [
        [
            row["case"],
            ran(row),
            "yes" if row.get("overflow_fix") else "no",
            *_ratio(row),
            f"{row['least_cosine']:.3f}, {row['least_cosine_centred']:.3f}",
        ]
        for row in results("bench_export")
    ]
    head = ["int8 / fastest dtype, ms per picture", "ratio", "target", "lowest cosine; with the mean vector removed"]
    return table(["image tower, two cores", "instruction set", "overflow fix", *head], lines)


def neighbour() -> str:
    """A line a kind of work, setting and instruction set; across, how many busy processes ran beside it."""
    rows = results("bench_neighbour")
    busy = sorted({row["busy"] for row in rows})
    lines = []
    for of_line in dict.fromkeys((row["work"], row["setting"], ran(row)) for row in rows):
        found = {row["busy"]: row for row in rows if (row["work"], row["setting"], ran(row)) == of_line}
        cells = [
            f"{found[count]['ours_ms']:,.0f} ({found[count]['spread'][0]:,.0f} to {found[count]['spread'][1]:,.0f})"
            if count in found
            else ""
            for count in busy
        ]
        lines.append([*of_line, *cells])
    head = [f"ms beside {count or 'no'} busy processes" for count in busy]
    return table(["what", "how threads wait", "instruction set", *head], lines)


def _ratio(row: Row) -> list[str]:
    """Times, their ratio with its spread (marked ** where it is below the target), and the target."""
    (low, high), required = row["spread"], row["required"]
    missed = " **" if required and row["ratio"] < required else ""
    return [
        f"{row['ours_ms']:.1f} / {row['peer_ms']:.1f}",
        f"{row['ratio']:.2f} ({low:.2f} to {high:.2f}){missed}",
        f"{required:g}" if required else "",
    ]


def emoji_questions() -> str:
    """One row per way of training; one column per kind of question."""
    rows = results("emoji_questions")
    kinds = list(rows[0]["by_kind"])
    lines = []
    for row in rows:
        low, high = row.get("interval", ("", ""))
        found = f"{row['accuracy']:.1f}" + (f" ({low:.1f} to {high:.1f})" if "interval" in row else "")
        cells = [f"{row[name]:.1f}" if name in row else "" for name in ("blank", "shuffled", "scenes")]
        times = [f"{row['seconds']:,.0f}" if "seconds" in row else ""]
        lines.append([row["system"], found, *cells, *(f"{row['by_kind'][kind]:.1f}" for kind in kinds), *times])
    return table(["%", "accuracy (95 %)", "blank picture", "another picture", "scenes R@1", *kinds, "seconds"], lines)


def calibration() -> str:
    """The row of the model's calibration."""
    (row,) = [row for row in results("calibration") if "slope" in row]
    columns = {
        "slope, offset": f"{row['slope']:g}, {row['offset']:g}",
        "calibration error, %": f"{row['calibration_error']:.2f}",
        "absent: nothing found, %": f"{row['absent_found_nothing']:.1f}",
        "present: among the candidates, %": f"{row['present_retrieved']:.1f}",
        "present: found, %": f"{row['present_kept']:.1f}",
    }
    return table(list(columns), [list(columns.values())])


def fine_tuning() -> str:
    """One row per model, system and pool: how held-out titles are found before and after a training on others."""
    rows = results("fine_tuning")
    lines = []
    for model, system, pool in dict.fromkeys((row["model"], row["system"], row["pool"]) for row in rows):
        found = [row for row in rows if (row["model"], row["system"], row["pool"]) == (model, system, pool)]
        if len(found) < 2:  # what was not trained to match has no such row before it is
            continue
        before, after = found
        recalls = [f"{row['R@1']:.1f} / {row['R@10']:.1f}" for row in (before, after)]
        options = after["trained"].rpartition(f"{model} ")[2]
        lines.append([f"{model}, {system}", f"`{options}`", f"{pool:,}", *recalls, f"{after['minutes']:.1f}"])
    return table(["R@1 / R@10, %", "trained with", "pictures in the pool", "before", "after", "minutes"], lines)


def drop_depths() -> str:
    """One row per drop depth: its accuracy and its time."""
    lines = (
        [
            str(row["depth"]),
            *(f"{row[name]:.1f}" for name in ("R@1", "same_best")),
            f"{row['calibration_error']:.2f}",
            f"{row['time']:.0f}",
        ]
        for row in results("calibration")
        if "depth" in row
    )
    return table(["drop depth", "R@1, %", "the same best, %", "calibration error, %", "time of depth 0, %"], lines)


def _of(experiment: str, draw: Callable[[list[Row]], str]) -> str:
    return draw(results(experiment))


TABLES: dict[str, Callable[[], str]] = {
    "scenes": scenes,
    "answers": answers,
    "emoji": emoji,
    "times": times,
    "peers": peers,
    "kernels": kernels,
    "rerank": rerank,
    "index": index,
    "export": export,
    "neighbour": neighbour,
    "calibration": calibration,
    "emoji_questions": emoji_questions,
    "drop_depths": drop_depths,
    "fine_tuning": fine_tuning,
    **{name: partial(_of, "adapterdrop", draw) for name, draw in adapterdrop.TABLES.items()},
    **{name: partial(_of, "adapterdrop_text", draw) for name, draw in adapterdrop.TEXT_TABLES.items()},
    "adapterdrop_both": lambda: adapterdrop.side_by_side(results("adapterdrop"), results("adapterdrop_text")),
    "flickr8k_both": lambda: flickr8k.side_by_side(results("retrieval"), results("flickr8k")),
    **{name: partial(_of, "editions", draw) for name, draw in editions.TABLES.items()},
    **{name: partial(_of, "flickr8k", draw) for name, draw in flickr8k.TABLES.items()},
    **{name: partial(_of, "retrieval", draw) for name, draw in retrieval.TABLES.items()},
    **{name: partial(_of, "xgqa", draw) for name, draw in xgqa.TABLES.items()},
    **{name: partial(_of, "xgqa_questions", draw) for name, draw in xgqa_questions.TABLES.items()},
}


def filled(page: str) -> str:
    """The page with the current tables between its markers."""

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- {name} -->\n{TABLES[name]()}\n<!-- /{name} -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- /\1 -->", fill, page, flags=re.DOTALL)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
