"""Answers judged through the real command: a published model's on xGQA, and a tiny model's on drawn scenes."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Ended, polyglance
from tests.journeys.tiny import save_tiny_model
from tests.shared_data import shared_data


def xgqa(*arguments: Any, **options: Any) -> Ended:
    return polyglance("evaluate", "xgqa", *arguments, **options)


def test_published_answers() -> None:
    """All eight languages in one call; every figure is held in tests/evaluation."""
    few = shared_data() / "xgqa" / "few_shot" / "en"
    asked = ("--gold", shared_data() / "iglue" / "gqa_testdev.json")
    left_out = ("--exclude", few / "dev.json", "--exclude", few / "train_48.json")
    ended = xgqa(*asked, *left_out, "--predictions", shared_data() / "iglue/xgqa/zero_shot/uc2", "--json")
    assert (ended.status, ended.errors) == (0, "")
    report = ended.json
    assert report["mean_without_source"] == 29.348822086252255
    assert report["by_language"]["en"]["accuracy"] == 55.193461618042626
    assert (report["consistency"], report["validity"], report["by_structural"]) == (None, None, None)
    assert "--choices" in report["needs"]["validity"]
    files = [f"{shared_data()}/iglue/xgqa/few_shot/uc2/test_de_{shots}_result.json" for shots in (1, 48)]
    compared = xgqa(*asked, *left_out, "--compare", *files, "--json").json["de"]["accuracy"]
    assert compared["difference"] == pytest.approx(48.179184771363545 - 43.76163873370577, abs=1e-4)
    assert compared["likely_noise"] is False


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """A folder with GQA's questions `gold.json` and a model's answers `answers_de.json`."""
    types = {"structural": "query", "semantic": "obj"}
    question = {"question": "What?", "answer": "dog", "imageId": "a", "types": types, "groups": {"global": "animal"}}
    gold = {"1": {**question, "entailed": ["2"]}, "2": {**question, "answer": "cat"}, "3": question}
    (tmp_path / "gold.json").write_text(json.dumps(gold))
    answers = [{"questionId": key, "prediction": "dog"} for key in ("1", "2")]
    (tmp_path / "answers_de.json").write_text(json.dumps(answers))
    return tmp_path


def test_a_table_for_people(user: Path) -> None:
    choices = {key: {"valid": ["dog"], "plausible": []} for key in "123"}
    (user / "choices.json").write_text(json.dumps(choices))
    given = ("--gold", "gold.json", "--predictions", "answers_{language}.json", "--choices", "choices.json")
    ended = xgqa(*given, cwd=user)
    assert (ended.status, ended.errors) == (0, "")
    (line,) = (line.split() for line in ended.output.splitlines() if line.startswith(" de"))
    assert (line[1], line[2]) == ("3", "33.33")
    assert line[-4:] == ["0.00", "66.67", "0.00", "0.01"]
    assert "count as wrong: 1 (de 3)" in ended.output
    assert "structural type: query 33.33" in ended.output


def test_what_a_picture_does_not_show_is_told_by_its_scene_graph(user: Path) -> None:
    """Right are dog, cat and dog, answered are dog twice and nothing; the picture has a dog alone."""
    graph = {"objects": {"1": {"name": "dog", "attributes": ["brown"], "relations": []}}}
    (user / "graphs.json").write_text(json.dumps({"a": graph}))
    given = ("--gold", "gold.json", "--predictions", "answers_de.json", "--json")
    report = xgqa(*given, "--scene-graphs", "graphs.json", cwd=user).json
    assert report["in_picture"] == report["by_language"]["en"]["in_picture"]
    assert report["in_picture"] == {"answers": pytest.approx(200 / 3), "right_answers": pytest.approx(200 / 3)}
    report = xgqa(*given, cwd=user).json
    assert report["in_picture"] is None
    assert "--scene-graphs" in report["needs"]["in_picture"]
    (user / "graphs.json").write_text(json.dumps({"b": graph, "c": {}}))
    assert_refused(
        xgqa(*given, "--scene-graphs", "graphs.json", cwd=user), "graphs.json: picture c: objects is missing"
    )
    (user / "graphs.json").write_text(json.dumps({"b": graph}))
    assert_refused(xgqa(*given, "--scene-graphs", "graphs.json", cwd=user), "there is none of a")


def assert_refused(ended: Ended, *words: str, status: int = 1) -> None:
    assert (ended.status, ended.output) == (status, "")
    shown = " ".join(ended.errors.replace("│", " ").split())
    for word in words:
        assert word in shown
    assert status == 2 or ended.errors.count("\n") == 1


def test_what_cannot_be_judged_is_one_clear_line(user: Path) -> None:
    (user / "other_de.json").write_text('[{"questionId": "7", "prediction": "dog"}]')
    (user / "object_de.json").write_text('{"7": "dog"}')
    (user / "twice_de.json").write_text(json.dumps([{"questionId": "1", "prediction": "x"}] * 2))
    gold = ("--gold", "gold.json", "--predictions")
    assert_refused(xgqa(*gold, "other_de.json", cwd=user), "other_de.json", "1 of 1 are to others, such as 7")
    assert_refused(xgqa(*gold, "object_de.json", cwd=user), "expected a list of")
    assert_refused(xgqa(*gold, "twice_de.json", cwd=user), "these have more: 1")
    assert_refused(xgqa(*gold, "nowhere.json", cwd=user), "nowhere.json: no such file")
    assert_refused(xgqa("--gold", "gold.json", cwd=user), "--predictions", "--compare", status=2)


def test_numbers_are_taken_as_their_text_and_no_name_says_a_language() -> None:
    cases = shared_data() / "cases"
    for name, accuracy in (("pred_intanswer.json", 200 / 3), ("pred_no_images.json", 200 / 3)):
        gold = ("--gold", cases / "testdev_balanced_questions.json", "--predictions", cases / name)
        ended = xgqa(*gold, "--json")
        assert (ended.status, ended.errors) == (0, "")
        assert list(ended.json["by_language"]) == ["en"]
        assert ended.json["accuracy"] == pytest.approx(accuracy)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `questions.jsonl` of 12 scenes in two languages, split in two, and a `model`."""
    folder = tmp_path_factory.mktemp("scenes")
    save_tiny_model(folder / "model")
    made = polyglance("scenes", "make", ".", "--count", "12", "--languages", "en,de", "--json", cwd=folder)
    assert made.status == 0, made.errors
    lines = [json.loads(line) for line in (folder / "questions.jsonl").read_text("utf-8").splitlines()]
    for number, line in enumerate(lines):
        line["split"] = "test" if number >= 80 else "train"
    (folder / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_model_is_measured_beside_its_controls(scenes: Path) -> None:
    asked = ("evaluate", "vqa", "--data", "questions.jsonl", "--model", "model")
    ended = polyglance(*asked, "--predictions", "answers_{language}.json", "--json", cwd=scenes)
    assert (ended.status, ended.errors) == (0, "")
    report = ended.json
    assert (report["questions"], report["missing"], report["split"]) == (40, 0, "test")
    assert list(report["by_language"]) == ["en", "de"]
    for one in (report, *report["by_language"].values()):
        assert set(one["controls"]) == {"blank", "shuffled", "most_frequent"}
        assert all(0 <= value <= 100 for value in (one["accuracy"], *one["controls"].values()))
        assert set(one["by_structural"]) <= {"query", "verify", "logical", "choose", "compare", "count"}
    assert report["outside_vocabulary"]["questions"] > 0
    assert report["most_frequent_of"] == "train"
    judged = xgqa(
        "--gold", "questions.jsonl", "--split", "test", "--predictions", "answers_{language}.json", "--json", cwd=scenes
    )
    assert judged.json["accuracy"] == report["accuracy"]
    assert judged.json["by_structural"] == report["by_structural"]
    graphs = ("--scene-graphs", "scene_graphs.json")
    judged = xgqa("--gold", "questions.jsonl", "--predictions", "answers_{language}.json", *graphs, cwd=scenes)
    assert (judged.status, judged.errors) == (0, "")
    assert "in picture" in judged.output
    assert "the scene graphs show: 100.00" in judged.output
    shown = polyglance(*asked, "--language", "de", cwd=scenes)
    assert "whose answer cannot be given" in shown.output
    assert "each structural type in the split train" in shown.output


def test_questions_without_pictures_are_answered_blindly_when_asked(scenes: Path) -> None:
    asked = ("evaluate", "vqa", "--data", "questions.jsonl", "--images", "nowhere", "--model", "model")
    assert_refused(polyglance(*asked, cwd=scenes), "there is no picture nowhere/", "--images", "--blind")
    ended = polyglance(*asked, "--blind", "--json", cwd=scenes)
    assert (ended.status, ended.errors) == (0, "")
    assert set(ended.json["controls"]) == {"most_frequent"}
    assert 0 < ended.json["accuracy"] < 100
    for arguments, words, status in (
        (("--blind", "--split", "train"), "learns from the split train", 2),
        (("--predictions", "answers.json"), "write {language} in the file's name", 2),
        (("--language", "fr"), "expected questions in fr, but there are only those in en, de", 1),
    ):
        assert_refused(polyglance(*asked, *arguments, cwd=scenes), words, status=status)
