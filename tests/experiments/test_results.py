"""Rows of benchmarks in several instruction sets, and of experiments that resume, start afresh and are merged."""

import argparse
import json
from pathlib import Path

import pytest

from experiments.merge import merge
from experiments.results import Measurements, Results, add_arguments, begin, commit, write_results
from polyglance.errors import ConfigurationError
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


KEYS = ("part", "seed")


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser, "some")
    return parser.parse_args(words)


def test_a_row_says_in_which_run_it_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    before = {"commit": "0000000", "command": "python -m experiments.some", "machine": {}}
    old = [{"part": "a", "seed": 0, "value": 1}, {"part": "a", "seed": 1, "value": 2, "run": 0}]
    path.write_text(json.dumps({"name": "some", "keys": KEYS, "runs": [before], "rows": old}))
    results = Results("some", tmp_path, KEYS)
    results.add([{"part": "b", "seed": 0, "value": 3}, {"part": "b", "seed": 1, "value": 4}])
    results.add([{"part": "a", "seed": 1, "value": 5}])
    document = json.loads(path.read_text())
    assert [run["commit"] for run in document["runs"]] == ["0000000", commit()]
    assert {"command", "machine"} <= document["runs"][1].keys()
    rows = document["rows"]
    assert [(row["value"], row.get("run")) for row in rows] == [(1, None), (5, 1), (3, 1), (4, 1)]
    assert all(row["seconds"] >= 0 for row in rows[1:])


def test_the_first_line_says_how_many_rows_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    committed = Results("some", tmp_path, KEYS)
    committed.add([{"part": "a", "seed": seed} for seed in range(3)])
    begin("some", arguments("--output", str(tmp_path)), KEYS)
    assert capsys.readouterr().out == f"{tmp_path}/some.json: 3 rows were measured before and are kept\n"


def test_a_fresh_run_has_its_own_rows_and_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder, results = begin("some", arguments("--fresh"), KEYS)
    assert results.rows == []
    assert folder == results.path.parent == Path("runs") / f"some-{commit()}"
    results.add([{"part": "a", "seed": 0}])
    assert begin("some", arguments("--fresh"), KEYS)[1].rows == results.rows  # stopped, it goes on
    assert begin("some", arguments("--small"), KEYS)[0] == Path("runs/some-small")


def test_files_of_several_processes_are_merged(tmp_path: Path) -> None:
    runs = [{"commit": name, "command": "", "machine": {}} for name in ("one", "two")]
    for name, numbers in {"into": (0,), "one": (1,), "two": (1, 0)}.items():
        rows = [{"part": name, "seed": number, "run": number} for number in numbers]
        rows += [{"part": "all", "seed": 0, "run": numbers[0], "by": name}]
        document = {"name": name, "keys": KEYS, "runs": runs if name != "two" else runs[::-1], "rows": rows}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    before = (tmp_path / "one.json").read_bytes()
    merge([tmp_path / "one.json", tmp_path / "two.json"], tmp_path / "into.json")
    document = json.loads((tmp_path / "into.json").read_text())
    found = [(row["part"], row["seed"], document["runs"][row["run"]]["commit"]) for row in document["rows"]]
    assert found == [
        ("into", 0, "one"),
        ("all", 0, "one"),
        ("one", 1, "two"),
        ("two", 1, "one"),
        ("two", 0, "two"),
    ]
    assert document["rows"][1]["by"] == "two"
    assert (tmp_path / "one.json").read_bytes() == before


def test_rows_of_another_experiment_are_not_merged(tmp_path: Path) -> None:
    Results("one", tmp_path, KEYS).write()
    Results("two", tmp_path, ("task",)).write()
    with pytest.raises(ConfigurationError, match="another experiment"):
        merge([tmp_path / "one.json", tmp_path / "two.json"], tmp_path / "into.json")
    with pytest.raises(ConfigurationError, match="expected rows of an experiment"):
        merge([tmp_path / "missing.json"], tmp_path / "into.json")
    assert not (tmp_path / "into.json").exists()
