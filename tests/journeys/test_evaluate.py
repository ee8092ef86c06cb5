"""Runs made elsewhere, judged through the real command: one published model on xFlickrCO, as IGLUE reports it."""

import csv
import json

import pytest

from tests.cli.command import polyglance
from tests.journeys.tiny import save_tiny_model
from tests.shared_data import shared_data


def published(shots: int) -> dict[str, float]:
    path = shared_data() / "iglue" / "xflickrco" / f"published_ir_{shots}.csv"
    (row,) = csv.DictReader(path.read_text().splitlines())
    return {language: float(value) for language, value in row.items() if language not in ("model", "avg")}


def run(*arguments: object):
    return polyglance("evaluate", "run", "--data", shared_data() / "iglue/xflickrco/annotations", *arguments)


def test_published_runs_have_their_published_recall_in_every_language() -> None:
    ended = run("--run", f"{shared_data()}/iglue/xflickrco/zero_shot/uc2/test_{{language}}_0_result.json", "--json")
    assert ended.status == 0, ended.errors
    found = {language: one["text_to_image"]["R@1"] for language, one in ended.json["by_language"].items()}
    assert found == published(0)
    assert len(found) == 8
    few = run(
        "--language", "de", "--run", f"{shared_data()}/iglue/xflickrco/few_shot/uc2/test_de_100_result.json", "--json"
    )
    assert few.json["text_to_image"]["R@1"] == published(100)["de"]


def test_two_runs_are_compared() -> None:
    files = [f"{shared_data()}/iglue/xflickrco/few_shot/uc2/test_de_{shots}_result.json" for shots in (1, 25)]
    ended = run("--language", "de", "--compare", *files, "--json")
    assert ended.json["de"]["R@1"]["difference"] == pytest.approx(30.15 - 27.4)
    assert ended.json["de"]["R@1"]["likely_noise"] is False
    shown = run("--language", "de", "--compare", *files)
    assert "more than noise" in shown.output


def test_tables_for_people(tmp_path) -> None:
    (tmp_path / "captions.jsonl").write_text(
        "\n".join(json.dumps({"image": f"{n}.png", "caption": "x", "split": "test"}) for n in range(3))
    )
    (tmp_path / "run.json").write_text("[[0], [1, 2], []]")
    ended = polyglance("evaluate", "run", "--data", "captions.jsonl", "--run", "run.json", cwd=tmp_path)
    assert ended.status == 0, ended.errors
    assert "66.67" in ended.output
    assert "without a result, which count as misses: 1 (en 2)" in ended.output.replace("\n", " ")
    backwards = ("--image-to-text", "--data", "captions.jsonl", "--run", "run.json")
    assert polyglance("evaluate", "run", *backwards, "--json", cwd=tmp_path).json["image_to_text"][
        "R@1"
    ] == pytest.approx(66.6667)


def test_a_run_with_places_and_names_that_are_not_there(tmp_path) -> None:
    lines = [json.dumps({"image": f"{n}.png", "caption": "x", "split": "test"}) for n in range(3)]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    for run, words in (
        ("[[0], [7], [9]]", "query 1: expected places from 0 to 2, got 7; query 2: expected"),
        ("0 Q0 0.png 1 0.5 x\n8 Q0 9.png 1 0.5 x", "line 2: there is no query '8'"),
    ):
        (tmp_path / "run").write_text(run)
        ended = polyglance("evaluate", "run", "--data", "captions.jsonl", "--run", "run", cwd=tmp_path)
        assert (ended.status, ended.output) == (1, "")
        assert words in ended.errors
        assert ended.errors.count("\n") == 1


def test_an_option_says_what_lines_do_not_say(tmp_path) -> None:
    """COCO's own captions say neither; a file in xFlickrCO's layout is overruled; lines that say it are not."""
    names = [f"scene_{2500000 + row}.png" for row in range(12)]
    (tmp_path / "run.txt").write_text("".join(f"{row} Q0 {name} 1 1 x\n" for row, name in enumerate(names)))
    coco = ("evaluate", "run", "--data", shared_data() / "cases" / "captions_val2014.json", "--run", "run.txt")
    refused = polyglance(*coco, cwd=tmp_path)
    assert (refused.status, refused.output) == (1, "")
    assert "of the split test, which is measured by default, but there is only that of train" in refused.errors
    assert refused.errors.count("\n") == 1
    ended = polyglance(*coco, "--split", "test", "--language", "de", "--json", cwd=tmp_path)
    assert ended.json["by_language"]["de"]["text_to_image"]["R@1"] == 100
    name = f"{shared_data()}/iglue/xflickrco/zero_shot/uc2/test_de_0_result.json"
    german = polyglance(
        *("evaluate", "run", "--data", shared_data() / "iglue/xflickrco/annotations/de/test.jsonl", "--run", name),
        *("--language", "id", "--split", "val", "--json"),
    )
    assert german.json["by_language"]["id"]["text_to_image"]["R@1"] == published(0)["de"]
    (tmp_path / "said.jsonl").write_text('{"image": "a.png", "caption": "x", "split": "train", "language": "en"}')
    (tmp_path / "one.json").write_text("[[0]]")
    for more, words in (
        (("--split", "test"), "captions of the split test, but there are only those of train"),
        (("--split", "train", "--language", "de"), "captions in de, but there are only those in en"),
    ):
        said = polyglance("evaluate", "run", "--data", "said.jsonl", "--run", "one.json", *more, cwd=tmp_path)
        assert (said.status, said.output) == (1, "")
        assert words in said.errors
        assert said.errors.count("\n") == 1


def test_wrong_usage_is_named() -> None:
    name = f"{shared_data()}/iglue/xflickrco/zero_shot/uc2/test_de_0_result.json"
    for arguments, words in (
        ((), "--run FILE"),
        (("--run", name, "--compare", name, name), "--run FILE"),
        (("--run", name), "{language}"),
        (("--run", name, "--split", "dev"), "'train', 'val', 'test'"),
    ):
        ended = run(*arguments)
        assert ended.status == 2
        assert words in " ".join(ended.errors.replace("│", " ").split())
    for arguments, words in (
        (("--run", "nowhere", "--language", "de"), "nowhere"),
        (("--run", name, "--language", "fr"), "only those in de, en"),
    ):
        ended = run(*arguments)
        assert (ended.status, ended.output) == (1, "")
        assert words in ended.errors
        assert ended.errors.count("\n") == 1


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder with `captions.jsonl` of 12 scenes in two languages, and a `model`."""
    folder = tmp_path_factory.mktemp("scenes")
    save_tiny_model(folder / "model")
    made = polyglance("scenes", "make", ".", "--count", "12", "--languages", "en,de", "--json", cwd=folder)
    assert made.status == 0, made.errors
    return folder


def test_a_model_is_measured_in_both_directions_and_in_every_language(scenes) -> None:
    asked = ("evaluate", "retrieval", "--data", "captions.jsonl", "--model", "model", "--split", "train")
    for system in (("twin",), ("cross",), ("coop",), ("separate", "--reranker", "model")):
        ended = polyglance(*asked, "--system", *system, "--candidates", "5", "--json", cwd=scenes)
        assert (ended.status, ended.errors) == (0, "")
        report = ended.json
        assert list(report["by_language"]) == ["en", "de"]
        assert report["queries"] == 2 * (36 + 12)
        assert report["missing"] == 0
        for direction in ("text_to_image", "image_to_text"):
            assert 0 <= report[direction]["R@1"] <= report[direction]["R@5"] <= report[direction]["R@10"] <= 100
        assert report["rsum"] == pytest.approx(6 * report["mean_recall"], abs=0.01)
        assert report["milliseconds"]["total"] > 0
    shown = polyglance(
        *asked, "--candidates", "5", "--language", "de", "--folds", "2", "--distractors", ".", cwd=scenes
    )
    assert shown.status == 0, shown.errors
    assert "image to text" in shown.output
    assert "a text at a time" in shown.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--split", "test"), "captions of the split test, but there are only those of train"),
        (("--split", "train"), "expected 20 items or more in en"),
        (("--split", "train", "--folds", "5"), "12 pictures in 5 equal folds"),
        (("--split", "train", "--images", "elsewhere"), "there is no picture elsewhere"),
        (("--split", "train", "--distractors", "nowhere"), "nowhere does not exist"),
        (("--split", "train", "--language", "fr"), "captions in fr"),
    ],
)
def test_what_cannot_be_measured_is_one_clear_line(scenes, arguments, words) -> None:
    ended = polyglance("evaluate", "retrieval", "--data", "captions.jsonl", "--model", "model", *arguments, cwd=scenes)
    assert (ended.status, ended.output) == (1, "")
    assert words in ended.errors
    assert ended.errors.count("\n") == 1


def test_a_picture_that_cannot_be_read_is_skipped_and_named(scenes) -> None:
    (scenes / "torn.png").write_bytes(b"\x89PNG\r\n")
    torn = '{"image": "torn.png", "caption": "torn", "language": "en", "split": "train"}\n'
    (scenes / "torn.jsonl").write_text(torn + (scenes / "captions.jsonl").read_text("utf-8"), encoding="utf-8")
    asked = ("evaluate", "retrieval", "--data", "torn.jsonl", "--model", "model", "--split", "train")
    ended = polyglance(*asked, "--candidates", "5", "--language", "en", "--json", cwd=scenes)
    assert ended.status == 0
    assert ended.json["queries"] == 36 + 12
    assert list(ended.json["skipped"]) == ["torn.png"]
    assert "warning: 1 of the pictures cannot be read, skipped: torn.png: " in ended.errors
    assert ended.errors.count("\n") == 1


def test_a_model_is_trained_on_captions_and_measured(scenes) -> None:
    lines = [json.loads(line) for line in (scenes / "captions.jsonl").read_text("utf-8").splitlines()]
    images = sorted({line["image"] for line in lines})
    split = {image: ("train", "val", "test", "val")[number % 4] for number, image in enumerate(images)}
    text = "".join(json.dumps({**line, "split": split[line["image"]]}, ensure_ascii=False) + "\n" for line in lines)
    (scenes / "split.jsonl").write_text(text, encoding="utf-8")
    train = ("train", "retrieval", "--data", "split.jsonl", "--model", "model", "--epochs", "2", "--batch", "8")
    ended = polyglance(*train, "--output", "trained", "--json", cwd=scenes)
    assert ended.status == 0
    assert (ended.json["chance"], ended.json["learned"], ended.json["skipped"]) == (19.4444, False, {})
    first, last = ended.errors.splitlines()
    assert first.startswith("polyglance: warning: R@1 of the first validation is ")
    assert "%, by chance 19.4; the loss " in first
    assert last.startswith("polyglance: warning: the training learned nothing that shows: R@1 is ")
    assert last.endswith("over 48 queries of the validation, and a random order would have 19.4 %")
    report = ended.json
    assert set(report["losses"]) == {"twin", "match", "rank"}
    assert len(report["validation"]) == 2
    calibration = json.loads((scenes / "trained" / "config.json").read_text())["calibration"]
    assert report["calibration"] == calibration
    assert (scenes / "trained" / "training" / "losses.png").stat().st_size > 1000
    again = polyglance(*train, "--output", "trained", cwd=scenes)
    assert again.status == 0, again.errors
    assert f"kept: epoch {report['best_epoch']}" in again.output
    measured = ("evaluate", "retrieval", "--data", "split.jsonl", "--model", "trained", "--candidates", "3", "--json")
    assert polyglance(*measured, cwd=scenes).json["queries"] > 0
    for arguments, words in (
        (("--mode", "twin"), "another mode"),
        (("--drop-depth", "1"), "adapters to leave out of 1 layers"),
    ):
        refused = polyglance(*train, "--output", "trained", *arguments, cwd=scenes)
        assert (refused.status, refused.output) == (1, "")
        assert words in refused.errors
