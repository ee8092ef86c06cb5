"""A user's own questions: tasks trained on them, fused, pruned, and asked, through the real command."""

import json
from pathlib import Path

import pytest

from tests.cli.command import Ended, polyglance
from tests.journeys.tiny import save_tiny_model


@pytest.fixture(scope="module")
def user(tmp_path_factory) -> Path:
    """A folder with a `model`, pictures, `verify.jsonl`, `query.jsonl` and `all.jsonl`; a fifth of them to test."""
    folder = tmp_path_factory.mktemp("user")
    save_tiny_model(folder / "model", joint_layers=3)
    made = polyglance("scenes", "make", "scenes", "--count", "12", "--languages", "en,ru", "--json", cwd=folder)
    assert made.status == 0, made.errors
    rows = [json.loads(line) for line in (folder / "scenes" / "questions.jsonl").read_text("utf-8").splitlines()]
    rows = [{**row, "split": "test" if number % 5 == 0 else "train"} for number, row in enumerate(rows)]
    for name in ("verify", "query", "all"):
        wanted = [row for row in rows if name == "all" or (row["answer"] in ("yes", "no")) == (name == "verify")]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in wanted)
        (folder / "scenes" / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def train(user: Path, questions: str, *arguments: str | Path) -> Ended:
    return polyglance("train", "task", f"scenes/{questions}.jsonl", "--epochs", "2", *arguments, cwd=user)


@pytest.fixture(scope="module")
def trained(user) -> Path:
    """The same folder with the tasks `verify`, of one depth, and `query`, of any; `both`, their fusion."""
    for questions, depth in (("verify", "1"), ("query", "robust")):
        ended = train(
            user, questions, "--model", "model", "--drop-depth", depth, "--output", f"tasks/{questions}", "--json"
        )
        assert ended.status == 0, ended.errors
    tasks = ("--task", "tasks/verify", "--task", "tasks/query")
    fused = polyglance(
        "train", "fusion", "scenes/all.jsonl", *tasks, "--output", "tasks/both", "--epochs", "1", "--json", cwd=user
    )
    assert fused.status == 0, fused.errors
    assert fused.json["labels"] == sorted(fused.json["labels"])
    return user


def assert_refused(ended: Ended, *words: str) -> None:
    """Status 1, and one line that holds these words."""
    assert (ended.status, ended.output) == (1, ""), ended
    assert ended.errors.count("\n") == 1
    assert "unexpected" not in ended.errors
    for word in words:
        assert word in ended.errors


def picture(user: Path) -> Path:
    return next((user / "scenes").glob("*.png"))


# -- the good way ------------------------------------------------------------------------------------------------------


def test_training_says_what_it_came_to_and_what_was_spared(trained):
    again = train(trained, "verify", "--model", "model", "--drop-depth", "1", "--output", "tasks/verify", "--json")
    assert again.status == 0, again.errors
    report = again.json
    assert list(report) == ["folder", "name", "labels", "questions", "scores", "training", "depths", "skipped"]
    assert report["depths"] == []
    assert (report["name"], report["labels"]) == ("verify", ["no", "yes"])
    assert set(report["scores"]) == {"test"}
    assert set(report["scores"]["test"]) == {"questions", "accuracy", "most_frequent"}
    assert report["training"]["layers_spared"] == 1
    assert report["training"]["kept_bytes"] > 0
    assert len(report["training"]["losses"]) == 2
    folder = trained / "tasks" / "verify"
    assert {"task.json", "adapter.json", "adapter.safetensors", "head.safetensors"} <= {
        p.name for p in folder.iterdir()
    }
    assert not (folder / "training" / "states").exists()


def test_training_shows_a_table(trained):
    shown = train(trained, "verify", "--model", "model", "--drop-depth", "1", "--output", "tasks/verify")
    assert shown.status == 0, shown.errors
    assert "accuracy" in shown.output
    assert "kept states" in shown.output
    assert "\x1b" not in shown.output


def test_a_robust_task_has_a_dial(trained):
    shown = train(trained, "query", "--model", "model", "--drop-depth", "robust", "--output", "tasks/query")
    assert shown.status == 0, shown.errors
    assert "ms a question" in shown.output
    document = json.loads((trained / "tasks" / "query" / "depths.json").read_text())
    assert [set(one) for one in document["depths"]] == [{"depth", "milliseconds", "quality"}] * 3


def test_tasks_answer_at_once_as_each_by_itself(trained):
    asked = ("ask", "Is there a star?", "--image", picture(trained), "--json")
    names = ["verify", "query", "both"]
    together = polyglance(*asked, *(a for name in names for a in ("--task", f"tasks/{name}")), cwd=trained)
    assert (together.status, together.errors) == (0, "")
    assert set(together.json) == {"question", "path", "tasks", "answer_language", "milliseconds", "model", "note"}
    assert [one["task"] for one in together.json["tasks"]] == names
    assert {one["answer"] for one in together.json["tasks"][0]["answers"]} == {"yes", "no"}
    (alone,) = polyglance(*asked, "--task", "tasks/both", cwd=trained).json["tasks"]
    assert [a["answer"] for a in alone["answers"]] == [a["answer"] for a in together.json["tasks"][2]["answers"]]


def test_a_task_is_asked_at_a_depth(trained):
    asked = ("ask", "Is it red?", "--image", picture(trained), "--task", "tasks/query")
    answers = [
        polyglance(*asked, "--json", *chosen, cwd=trained).json["tasks"]
        for chosen in (("--drop-depth", "0"), ("--drop-depth", "2"), ("--drop-depth", "auto", "--budget-ms", "1e6"))
    ]
    assert answers[0] != answers[1]
    measured = json.loads((trained / "tasks" / "query" / "depths.json").read_text("utf-8"))["depths"]
    best = max(measured, key=lambda one: (one["quality"], -one["milliseconds"]))["depth"]
    assert best not in (0, 2) or answers[2] == answers[best // 2]
    assert_refused(polyglance(*asked, "--drop-depth", "auto", "--budget-ms", "1e-6", cwd=trained), "at least", "ms")
    assert_refused(polyglance(*asked, "--drop-depth", "3", cwd=trained), "a drop depth of 0 to 2", "got 3")
    for wrong in (("--drop-depth", "deep"), ("--budget-ms", "-1"), ("--budget-ms", "5")):
        assert polyglance(*asked, *wrong, cwd=trained).status == 2


def test_tasks_are_asked_of_a_library(trained):
    indexed = polyglance("index", "scenes", "--library", "library", "--model", "model", "--json", cwd=trained)
    assert indexed.status == 0, indexed.errors
    ended = polyglance(
        "ask", "Is it red?", "--query", "a red star", "--library", "library", "--task", "tasks/verify", cwd=trained
    )
    assert (ended.status, ended.errors) == (0, "")
    assert "verify" in ended.output
    assert "yes" in ended.output


@pytest.mark.parametrize("choice", [("--keep", "1"), ("--keep", "1", "--global"), ("--threshold", "0.9")])
def test_a_fusion_is_pruned_and_asked(trained, tmp_path, choice):
    output = tmp_path / "pruned"
    ended = polyglance(
        *("adapters", "prune", "tasks/both", "scenes/all.jsonl", *choice),
        *("--output", output, "--plot", tmp_path / "use.png", "--json"),
        cwd=trained,
    )
    assert (ended.status, ended.errors) == (0, "")
    report = ended.json
    assert report["names"] == ["verify", "query"]
    assert [len(row) for row in report["use"]] == [2, 2, 2]
    assert report["use"][0] == [0, 1]
    assert [len(kept) for kept in report["kept"]] == [1, 1, 1]
    assert report["bytes"] < report["bytes_before"]
    assert (tmp_path / "use.png").read_bytes().startswith(b"\x89PNG")
    asked = ("ask", "Is it red?", "--image", picture(trained), "--task", output, "--task", "tasks/both")
    assert polyglance(*asked, cwd=trained).status == 0


def test_pruning_to_all_changes_no_answer(trained, tmp_path):
    pruned = ("adapters", "prune", "tasks/both", "scenes/all.jsonl", "--keep", "2", "--output", tmp_path / "all")
    shown = polyglance(*pruned, cwd=trained)
    assert shown.status == 0, shown.errors
    assert "verify, query" in shown.output
    asked = ("ask", "Is it red?", "--image", picture(trained), "--json")
    answers = polyglance(*asked, "--task", tmp_path / "all", "--task", "tasks/both", cwd=trained).json["tasks"]
    before, after = ({a["answer"]: a["probability"] for a in one["answers"]} for one in answers)
    assert before == pytest.approx(after)


# -- what can go wrong -------------------------------------------------------------------------------------------------


def test_wrong_lines_are_named_before_anything_is_read(user, tmp_path):
    wrong = user / "scenes" / "wrong.jsonl"
    wrong.write_text('{"image": "nowhere.png", "question": "a?", "answer": "b"}\n\n{torn\n')
    assert_refused(train(user, "wrong", "--output", tmp_path / "task"), "wrong.jsonl: line 3: no JSON")
    wrong.write_text('{"image": "nowhere.png", "question": "a?", "answer": "b"}\n')
    assert_refused(
        train(user, "wrong", "--output", tmp_path / "task"), "wrong.jsonl: there is no picture", "nowhere.png"
    )
    assert not (tmp_path / "task").exists()


def test_pictures_that_cannot_be_read_are_named(user, tmp_path):
    for name in ("broken.png", "torn.png"):
        (user / "scenes" / name).write_bytes(b"no picture")
    lines = [
        json.dumps({"image": f"{name}.png", "question": "a?", "answer": name}) + "\n" for name in ("broken", "torn")
    ]
    (user / "scenes" / "pictures.jsonl").write_text("".join(lines))
    ended = train(user, "pictures", "--model", "model", "--output", tmp_path / "task")
    assert_refused(ended, "2 of the pictures cannot be read", "broken.png", "torn.png")
    for name in ("broken.png", "torn.png"):
        (user / "scenes" / name).unlink()


def test_one_answer_is_nothing_to_learn(user, tmp_path):
    line = {"image": picture(user).name, "question": "a?", "answer": "b"}
    (user / "scenes" / "one.jsonl").write_text(json.dumps(line) + "\n")
    assert_refused(train(user, "one", "--model", "model", "--output", tmp_path / "task"), "two different answers")


def test_a_depth_that_is_no_layer(user, tmp_path):
    arguments = ("--model", "model", "--output", tmp_path / "task", "--drop-depth")
    assert_refused(train(user, "verify", *arguments, "3"), "0 to 2", "got 3")
    assert train(user, "verify", *arguments, "deep").status == 2


def test_a_folder_with_another_training(trained):
    ended = train(trained, "verify", "--model", "model", "--drop-depth", "1", "--output", "tasks/verify", "--seed", "1")
    assert_refused(ended, "another seed", "name another folder")


def test_a_task_of_another_model(trained, tmp_path):
    save_tiny_model(tmp_path / "model", seed=1, joint_layers=3)
    other = ("--model", tmp_path / "model", "--output", tmp_path / "task")
    assert train(trained, "verify", *other).status == 0
    tasks = ("--task", "tasks/verify", "--task", tmp_path / "task")
    asked = polyglance("ask", "Is it red?", "--image", picture(trained), *tasks, cwd=trained)
    assert_refused(asked, "'task' was trained in")
    fused = polyglance("train", "fusion", "scenes/all.jsonl", *tasks, "--output", tmp_path / "both", cwd=trained)
    assert_refused(fused, "'task' was trained in")


def test_a_folder_that_is_no_task(trained, tmp_path):
    ended = polyglance("ask", "Is it red?", "--image", picture(trained), "--task", tmp_path, cwd=trained)
    assert_refused(ended, "holds no task")
    ended = polyglance(
        "adapters", "prune", "tasks/verify", "scenes/all.jsonl", "--keep", "1", "--output", tmp_path / "x", cwd=trained
    )
    assert_refused(ended, "polyglance train fusion")


def test_pruning_needs_a_choice(trained, tmp_path):
    pruned = ("adapters", "prune", "tasks/both", "scenes/all.jsonl", "--output", tmp_path / "x")
    assert_refused(polyglance(*pruned, cwd=trained), "one of the two")
    assert_refused(polyglance(*pruned, "--keep", "3", cwd=trained), "1 to 2")
