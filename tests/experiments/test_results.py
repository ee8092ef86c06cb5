"""Rows of a benchmark, measured in several instruction sets and more than once."""

import json
from pathlib import Path

from experiments.results import Measurements, write_results
from polyglance.kernels.processor import instruction_set

HERE, ELSEWHERE = instruction_set(), "another set"


def read(folder: Path) -> list[tuple[object, ...]]:
    rows = json.loads((folder / "bench.json").read_text())["rows"]
    return [(row["case"], row.get("dtype"), row.get("instruction_set"), row["ours_ms"]) for row in rows]


def test_a_row_takes_the_place_of_the_same_measurement_alone(tmp_path: Path) -> None:
    before = [
        {"case": "search", "dtype": "float32", "ours_ms": 1, "instruction_set": ELSEWHERE},
        {"case": "search", "dtype": "float32", "ours_ms": 2, "instruction_set": HERE},
        {"case": "search", "dtype": "bfloat16", "ours_ms": 3, "instruction_set": HERE},
        {"case": "index", "ours_ms": 4},
    ]
    write_results("bench", before, 0, 0.0, tmp_path)
    rows = Measurements("bench", 0, tmp_path)
    rows.add({"case": "search", "dtype": "float32", "ours_ms": 5})
    rows.add({"case": "index", "ours_ms": 6})
    rows.add({"case": "ask", "ours_ms": 7})
    assert read(tmp_path) == [
        ("search", "float32", ELSEWHERE, 1),
        ("search", "float32", HERE, 5),
        ("search", "bfloat16", HERE, 3),
        ("index", None, HERE, 6),
        ("ask", None, HERE, 7),
    ]


def test_the_file_names_the_instruction_set_of_the_machine(tmp_path: Path) -> None:
    Measurements("bench", 0, tmp_path).add({"case": "search", "ours_ms": 1})
    assert json.loads((tmp_path / "bench.json").read_text())["machine"]["instruction_set"] == HERE
