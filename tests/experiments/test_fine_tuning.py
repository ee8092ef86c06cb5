"""What training on titled clip art is measured by."""

import json
from pathlib import Path

import pytest

from experiments import fine_tuning
from experiments.editions.collections import Collection
from experiments.fine_tuning import held_out


def test_the_held_out_pictures_alone_are_those_that_are_asked_about() -> None:
    everything = Collection(
        "clip art",
        [Path(f"{number}.png") for number in range(5)],
        {("titles", "en"): [(3, "a horse"), (1, "a cow"), (3, "a mare")]},
    )
    alone = held_out(everything)
    assert alone.pictures == [Path("1.png"), Path("3.png")]
    assert alone.queries == {("titles", "en"): [(1, "a horse"), (0, "a cow"), (1, "a mare")]}


def test_rows_replace_those_of_the_same_model_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_tuning, "rows_of", lambda model, when: [{"when": when, "system": "twin", "pool": 1}])
    monkeypatch.setattr(
        fine_tuning, "trained", lambda model, options, folder: (["train", *options], {"best_epoch": len(options)})
    )
    for model, options in (("a", "--freeze-lower"), ("folder/b", "--mode twin"), ("a", "--epochs 2 --adapters")):
        command = ["fine_tuning", "--model", model, f"--options={options}", "--output", str(tmp_path)]
        monkeypatch.setattr("sys.argv", command)
        fine_tuning.main()
    rows = json.loads((tmp_path / "fine_tuning.json").read_text())["rows"]
    assert [(row["model"], row["when"], row["trained"]) for row in rows] == [
        ("a", "before", "train --epochs 2 --adapters"),
        ("a", "after", "train --epochs 2 --adapters"),
        ("b", "before", "train --mode twin"),
        ("b", "after", "train --mode twin"),
    ]
