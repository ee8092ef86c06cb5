"""The experiment with a model that knows nothing: rows come out, are not measured twice, and make tables."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.editions.__main__ import KEYS, SCENES, measure
from experiments.editions.collections import clip_art
from experiments.editions.tables import TABLES
from experiments.results import Results
from polyglance.languages import DEMO_LANGUAGES
from polyglance.models import load_trainable
from polyglance.models.families.single_stream import SingleStreamModel
from tests.experiments.editions.tiny_collections import write_captions
from tests.journeys.tiny import save_tiny_model

FEW = 3


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, clip art, and the results of the model."""
    folder = tmp_path_factory.mktemp("run")
    titles = [(f"{number}.png", f"number {number}", "test" if number % 2 else "train") for number in range(5)]
    write_captions(folder / "captions.jsonl", titles, folder)
    save_tiny_model(folder / "tiny")
    measure(
        load_trainable(folder / "tiny"),
        Results("editions", folder, KEYS),
        {"openclipart": lambda: clip_art(folder)},
        few=FEW,
    )
    return folder


def test_the_rows_of_a_model(run: Path) -> None:
    rows = Results("editions", run, KEYS).rows
    counted = Counter((row["part"], row["system"]) for row in rows)
    assert counted == {
        ("openclipart", "twin"): 1,
        ("openclipart", "coop"): 1,
        **{(SCENES, system): len(DEMO_LANGUAGES) for system in ("twin", "coop", "answer")},
    }
    assert all(row["model"] == "tiny" and {"fingerprint", "run", "seconds"} <= row.keys() for row in rows)
    twin = rows[0]
    assert (twin["asked"], twin["pool"], twin["chance"]) == (2, 2, {"R@1": 50.0, "R@10": 100, "R@50": 100})
    assert twin["R@10"] == 100


def test_a_stopped_run_goes_on_with_what_is_missing(run: Path) -> None:
    before = Results("editions", run, KEYS).rows
    results = Results("stopped", run, KEYS)
    results.rows = [row for row in before if (row["part"], row["language"]) != (SCENES, "ko")]
    measure(load_trainable(run / "tiny"), results, {"openclipart": lambda: clip_art(run)}, few=FEW)
    timeless = [[str({**row, "seconds": 0}) for row in rows] for rows in (results.rows, before)]
    assert sorted(timeless[0]) == sorted(timeless[1])


def test_rows_of_other_weights_of_the_same_name_are_left_out(run: Path) -> None:
    before = Results("editions", run, KEYS).rows
    results = Results("replaced", run, KEYS)
    results.rows = (
        [{**row, "fingerprint": "of before"} for row in before[:2]] + [{**before[0], "model": "another"}] + before
    )
    measure(load_trainable(run / "tiny"), results, {}, few=FEW)
    assert results.rows == [{**before[0], "model": "another"}, *before]


def test_a_model_that_only_embeds_has_rows_of_the_twin_encoder(run: Path) -> None:
    tiny = load_trainable(run / "tiny")
    assert isinstance(tiny, SingleStreamModel)
    embeds = SingleStreamModel(replace(tiny.config, tasks=("embed",)), tiny.tokenizer, "embeds").eval()
    results = Results("other", run, KEYS)
    measure(embeds, results, {"openclipart": lambda: clip_art(run)}, few=FEW)
    assert {row["system"] for row in results.rows} == {"twin"}
    assert len(results.rows) == 1 + len(DEMO_LANGUAGES)


def test_tables_say_what_the_rows_say(run: Path) -> None:
    rows = Results("editions", run, KEYS).rows
    drawn = {name: draw(rows) for name, draw in TABLES.items()}
    twin, coop = (row for row in rows if row["part"] == "openclipart")
    assert (
        f"| clip art by titles, R@10: en | 100.0 | 35 | {twin['R@10']:.1f} | {coop['R@10']:.1f} |" in drawn["editions"]
    )
    assert f"| openclipart, titles | tiny, twin | {twin['R@1']:.1f} / 100.0 |" in drawn["editions_languages"]
    english = next(row for row in rows if (row["system"], row["language"]) == ("answer", "en"))
    assert f"| all questions | {english['questions']} | {english['accuracy']:.1f} (" in drawn["editions_templates"]
    assert drawn["editions_scenes"].count("\n") == 6
