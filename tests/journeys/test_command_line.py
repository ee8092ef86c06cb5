"""A user's way through the real command: index, search, ask, and everything that can go wrong."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from polyglance.data.gallery import gallery_folder
from polyglance.models import BUNDLED
from tests.cli.command import SOURCE, Ended, polyglance
from tests.journeys.tiny import save_tiny_model

COLOURS = {"red": (220, 40, 40), "green": (40, 160, 60), "blue": (40, 80, 220), "white": (250, 250, 250)}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model of the real kind, tiny and untrained."""
    return save_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def indexed(model, tmp_path_factory) -> Path:
    """A folder with `pictures` and the `library` that read them."""
    folder = tmp_path_factory.mktemp("user")
    write_pictures(folder / "pictures")
    ended = polyglance("index", "pictures", "--library", "library", "--model", model, "--json", cwd=folder)
    assert ended.status == 0, ended.errors
    assert ended.json["added"] == len(COLOURS)
    return folder


def write_pictures(folder: Path) -> None:
    folder.mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (80, 60), colour).save(folder / f"{name}.png")


def assert_refused(ended: Ended, *words: str) -> None:
    """Status 1, nothing on standard output, and one line that holds these words."""
    assert (ended.status, ended.output) == (1, ""), ended
    assert ended.errors.startswith("polyglance: ")
    assert ended.errors.count("\n") == 1
    assert "unexpected" not in ended.errors
    for word in words:
        assert word in ended.errors


# -- the good way ------------------------------------------------------------------------------------------------------


def test_index_reports_what_it_did(model, tmp_path):
    write_pictures(tmp_path / "pictures")
    index = ("index", "pictures", "--library", "library", "--model", model)
    assert "4 added" in polyglance(*index, cwd=tmp_path).output
    (tmp_path / "pictures" / "red.png").rename(tmp_path / "pictures" / "rouge.png")
    (tmp_path / "pictures" / "blue.png").unlink()
    (tmp_path / "pictures" / "broken.png").write_bytes(b"no picture")
    ended = polyglance(*index, "--json", cwd=tmp_path)
    assert (ended.status, ended.errors) == (0, "")
    assert list(ended.json) == [
        *["added", "unchanged", "moved", "removed", "failed", "away", "passed_over", "seconds"],
        *["pictures_per_second", "texts"],
    ]
    assert [ended.json[count] for count in ("added", "unchanged", "moved", "removed")] == [0, 2, 1, 1]
    assert [set(failed) for failed in ended.json["failed"]] == [{"path", "reason"}]
    shown = polyglance(*index, cwd=tmp_path).output
    assert "3 unchanged" in shown
    assert "1 failed" in shown
    assert "broken.png" in shown


def test_an_unchanged_index_and_a_removal_load_no_torch(model, tmp_path):
    write_pictures(tmp_path / "pictures")
    index = ("index", "pictures", "--library", "library")
    polyglance(*index, "--model", model, cwd=tmp_path)
    for arguments in (
        index,
        (*index, "--model", str(model)),
        ("library", "remove", "pictures", "--library", "library"),
    ):
        code = (
            "import sys\nfrom polyglance.cli import main\n"
            f"sys.argv = ['polyglance', *{arguments!r}]\n"
            "try:\n    main()\nfinally:\n    print({'torch', 'transformers'} & set(sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "4 unchanged" in done.stdout or "4 removed" in done.stdout
        assert done.stdout.endswith("set()\n")


def test_index_says_what_is_away_and_forgets_it_when_asked(model, tmp_path):
    write_pictures(tmp_path / "pictures")
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    index = ("index", "pictures", "--library", "library", "--model", model)
    assert "passed over: 1 .txt\n" in polyglance(*index, cwd=tmp_path).output
    shutil.rmtree(tmp_path / "pictures")
    for _ in ("as often as one likes", "when nobody can be asked"):
        shown = polyglance(*index, cwd=tmp_path)
        assert (shown.status, shown.errors) == (0, "")
        assert "away: 4 pictures below pictures, not there now and kept; --prune forgets what is away\n" in shown.output
        assert "0 removed, 4 away, 0 failed" in shown.output
    ended = polyglance(*index, "--json", cwd=tmp_path)
    assert ended.json["away"] == [{"folder": str(tmp_path / "pictures"), "pictures": 4}]
    assert len(polyglance("search", "a", "--library", "library", "--json", cwd=tmp_path).json["results"]) == 4
    ended = polyglance(*index, "--prune", "--json", cwd=tmp_path)
    assert (ended.json["away"], ended.json["removed"]) == ([], 4)
    assert_refused(polyglance(*index, cwd=tmp_path), "pictures does not exist")


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize(("answer", "kept"), [(b"n\n", 4), (b"y\n", 0)])
def test_on_a_terminal_a_person_is_asked_before_pictures_are_forgotten(model, tmp_path, answer, kept):
    import pty

    write_pictures(tmp_path / "pictures")
    index = ("index", "pictures", "--library", "library")
    polyglance(*index, "--model", model, cwd=tmp_path)
    shutil.rmtree(tmp_path / "pictures")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "polyglance", *index],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as running:
        os.close(theirs)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(ours, 1000)
        os.write(ours, answer)
        while running.poll() is None:
            with suppress(OSError):
                shown += os.read(ours, 1000)
    os.close(ours)
    assert running.returncode == 0
    assert b"Forget 4 pictures, away now?" in shown
    assert len(polyglance("search", "a", "--library", "library", "--json", cwd=tmp_path).json["results"]) == kept


def test_search_finds_pictures_in_json(indexed):
    ended = polyglance("search", "a red star", "--library", "library", "-k", "3", "--json", cwd=indexed)
    assert (ended.status, ended.errors) == (0, "")
    assert list(ended.json) == [
        "query",
        "language",
        "model",
        "results",
        "milliseconds",
        "picked",
        "reranker",
        "unopened",
    ]
    assert list(ended.json["milliseconds"]) == ["text", "retrieve", "rerank", "total"]
    assert [list(result) for result in ended.json["results"]] == [["path", "score", "retrieval_score", "rank"]] * 3
    assert [result["rank"] for result in ended.json["results"]] == [1, 2, 3]
    scores = [result["score"] for result in ended.json["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(Path(indexed, result["path"]).exists() for result in ended.json["results"])


def test_search_without_reranking(indexed):
    ended = polyglance("search", "a red star", "--library", "library", "--no-rerank", "--json", cwd=indexed)
    assert [result["score"] for result in ended.json["results"]] == [None] * len(COLOURS)


def test_search_by_a_picture_and_with_words(indexed):
    search = ("search", "--library", "library", "--json")
    ended = polyglance(*search, "--image", "pictures/red.png", cwd=indexed)
    assert (ended.status, ended.errors) == (0, "")
    assert ended.json["query"] == "[red.png]"
    assert Path(ended.json["results"][0]["path"]).name == "red.png"
    assert ended.json["results"][0]["score"] is None
    ended = polyglance(*search, "a star", "--image", "pictures/red.png", "--without", "at night", cwd=indexed)
    assert ended.json["query"] == '"a star" + [red.png] - "at night"'
    assert None not in [result["score"] for result in ended.json["results"]]
    assert_refused(polyglance(*search, "--image", "pictures/nowhere.png", cwd=indexed), "nowhere.png", "no such file")
    assert_refused(polyglance(*search, "a star", "--without", " ", cwd=indexed), "at least one word")
    nothing = polyglance(*search, "--without", "at night", cwd=indexed)
    assert nothing.status == 2


def test_a_budget_says_what_it_picked(indexed):
    search = ("search", "a red star", "--library", "library", "--budget-ms")
    ended = polyglance(*search, "100000", "--json", cwd=indexed)
    assert (ended.status, ended.errors) == (0, "")
    assert (ended.json["picked"]["candidates"], ended.json["picked"]["depth"]) == (100, 0)
    assert 0 < ended.json["picked"]["expected_ms"] < 100_000
    assert "reranked 100 at drop depth 0:" in polyglance(*search, "100000", cwd=indexed).output


def test_a_search_for_something_absent_may_find_nothing(indexed):
    search = ("search", "a red star", "--library", "library", "--min-score")
    ended = polyglance(*search, "1", "--json", cwd=indexed)
    assert (ended.status, ended.errors, ended.json["results"]) == (0, "", [])
    shown = polyglance(*search, "1", cwd=indexed)
    assert (shown.status, shown.errors) == (0, "")
    assert "nothing found: the library holds no pictures that fit with a probability of 1\n" in shown.output
    assert_refused(polyglance(*search, "0.5", "--no-rerank", cwd=indexed), "reranking")


def test_paths_alone_are_for_other_programs(model, tmp_path):
    folder = tmp_path / "pictures"
    write_pictures(folder)
    (folder / "red.png").rename(folder / "two\nlines.png")
    polyglance("index", "pictures", "--library", "library", "--model", model, cwd=tmp_path)
    search = ("search", "a red star", "--library", "library")
    listed = [result["path"] for result in polyglance(*search, "--json", cwd=tmp_path).json["results"]]
    assert len(listed) == len(COLOURS)
    ended = polyglance(*search, "--paths", cwd=tmp_path)
    assert (ended.status, ended.errors, ended.output) == (0, "", "".join(f"{path}\n" for path in listed))
    for null in ("--null", "-0"):
        assert polyglance(*search, "--paths", null, cwd=tmp_path).output == "".join(f"{path}\0" for path in listed)
    for wrong in (["-0"], ["--paths", "--json"], ["--paths", "--texts"]):
        assert polyglance(*search, *wrong, cwd=tmp_path).status == 2


def test_candidates_that_a_reranker_cannot_open_are_named(model, tmp_path):
    write_pictures(tmp_path / "pictures")
    polyglance("index", "pictures", "--library", "library", "--model", model, cwd=tmp_path)
    (tmp_path / "pictures" / "red.png").unlink()
    search = ("search", "a red star", "--library", "library", "--reranker", model)
    said = "1 candidate could not be opened, and thus not be reranked or listed: pictures/red.png\n"
    for more in ([], ["--paths"]):
        ended = polyglance(*search, *more, cwd=tmp_path)
        assert (ended.status, ended.errors) == (0, said)
        assert "red.png" not in ended.output
        assert "blue.png" in ended.output
    ended = polyglance(*search, "--json", cwd=tmp_path)
    assert ended.errors == ""
    assert ended.json["unopened"] == [str(tmp_path / "pictures" / "red.png")]
    assert len(ended.json["results"]) == len(COLOURS) - 1
    shutil.rmtree(tmp_path / "pictures")
    assert "nothing found: no candidate could be opened\n" in polyglance(*search, cwd=tmp_path).output


def test_a_library_is_looked_at_and_pictures_are_forgotten(model, tmp_path):
    write_pictures(tmp_path / "pictures")
    polyglance("index", "pictures", "--library", "library", "--model", model, cwd=tmp_path)
    (tmp_path / "pictures" / "red.png").unlink()
    info = ("library", "info", "--library", "library")
    ended = polyglance(*info, "--json", cwd=tmp_path)
    assert (ended.status, ended.errors) == (0, "")
    assert list(ended.json) == [
        *["path", "pictures", "away", "texts", "size", "model", "source", "fingerprint", "languages", "folders"]
    ]
    assert ended.json["folders"] == [{"path": str(tmp_path / "pictures"), "pictures": 4, "away": 1}]
    assert ended.json["source"] == str(model)
    shown = polyglance(*info, cwd=tmp_path)
    assert (shown.status, shown.errors) == (0, "")
    assert "4 (1 away)" in shown.output
    remove = ("library", "remove", "--library", "library")
    assert polyglance(*remove, "pictures/red.png", "--json", cwd=tmp_path).json == {"removed": 1}
    assert "3 removed" in polyglance(*remove, "pictures", cwd=tmp_path).output
    assert_refused(polyglance(*remove, "pictures", cwd=tmp_path), "it has none at", "pictures")
    assert_refused(polyglance("library", "info", "--library", "nowhere", cwd=tmp_path), "polyglance index")


def test_texts_are_indexed_and_found_by_a_picture(model, tmp_path):
    write_pictures(tmp_path / "pictures")
    (tmp_path / "texts.txt").write_bytes("a red star\n[red]\x1b[31m ein Stern\n\xff\n".encode("latin-1"))
    index = ("index", "--texts", "texts.txt", "--library", "library", "--model", model)
    assert "2 texts added, 0 unchanged, 0 removed, 1 failed" in polyglance(*index, cwd=tmp_path).output
    ended = polyglance(*index, "pictures", "--json", cwd=tmp_path)
    assert (ended.status, ended.errors, ended.json["added"]) == (0, "", len(COLOURS))
    assert list(ended.json["texts"]) == ["added", "unchanged", "removed", "failed", "seconds"]
    assert (ended.json["texts"]["added"], ended.json["texts"]["unchanged"]) == (0, 2)
    assert [(Path(one["path"]).name, one["line"]) for one in ended.json["texts"]["failed"]] == [("texts.txt", 3)]
    search = ("search", "--image", "pictures/red.png", "--texts", "--library", "library")
    found = polyglance(*search, "--json", cwd=tmp_path).json["results"]
    assert list(found[0]) == ["text", "language", "source", "score", "retrieval_score", "rank"]
    assert len(found) == 2
    assert None not in [result["score"] for result in found]
    shown = polyglance(*search, cwd=tmp_path).output
    assert "a red star" in shown
    assert "\x1b" not in shown
    assert_refused(polyglance("index", "--texts", "nowhere.txt", "--library", "library", cwd=tmp_path), "nowhere.txt")


def test_search_shows_a_table(indexed):
    ended = polyglance("search", "ein roter Stern", "--library", "library", "--language", "de", cwd=indexed)
    assert (ended.status, ended.errors) == (0, "")
    assert all(f"{name}.png" in ended.output.replace("\n", "") for name in COLOURS)
    assert "rerank" in ended.output
    assert "\x1b" not in ended.output


def test_ask_about_a_picture_in_json(indexed):
    ended = polyglance(
        "ask", "What colour is it?", "--image", "pictures/red.png", "--library", "library", "--json", cwd=indexed
    )
    assert (ended.status, ended.errors) == (0, "")
    assert list(ended.json) == ["question", "path", "answers", "milliseconds", "answer_language", "model", "note"]
    assert (ended.json["model"], ended.json["note"]) == ("tiny", None)
    assert [set(answer) for answer in ended.json["answers"]] == [{"answer", "probability", "word"}] * 5
    assert all(answer["word"] == answer["answer"] for answer in ended.json["answers"])
    probabilities = [answer["probability"] for answer in ended.json["answers"]]
    assert probabilities == sorted(probabilities, reverse=True)


def test_answers_in_the_language_asked_for(indexed):
    ask = ("ask", "Какого цвета звезда?", "--image", "pictures/red.png", "--library", "library")
    for more, language, red in (((), "ru", "красного"), (("--answer-language", "fr"), "fr", "rouge")):
        ended = polyglance(*ask, *more, "--json", cwd=indexed)
        assert ended.json["answer_language"] == language
        assert {one["answer"]: one["word"] for one in ended.json["answers"]}.get("red", red) == red
        shown = polyglance(*ask, *more, cwd=indexed)
        assert all(one["word"] in shown.output for one in ended.json["answers"])
    refused = polyglance(*ask, "--answer-language", "tlh", cwd=indexed)
    assert (refused.status, refused.output) == (1, "")
    assert "words for answers, bn, de, en, fr" in refused.errors
    assert refused.errors.count("\n") == 1


def test_ask_about_the_best_hit(indexed):
    hit = polyglance("search", "a red star", "--library", "library", "-k", "1", "--json", cwd=indexed)
    ended = polyglance("ask", "Is it red?", "--query", "a red star", "--library", "library", "--json", cwd=indexed)
    assert Path(ended.json["path"]) == Path(hit.json["results"][0]["path"])


def test_ask_needs_no_library_for_a_picture_file(indexed, tmp_path):
    ask = ("ask", "Is it red?", "--image", indexed / "pictures" / "red.png", "--model", BUNDLED)
    ended = polyglance(*ask, XDG_DATA_HOME=str(tmp_path / "data"))
    assert (ended.status, ended.errors) == (0, "")
    assert ended.output.endswith(f"{BUNDLED} can answer about drawn scenes only\n")
    assert not (tmp_path / "data").exists()
    in_json = polyglance(*ask, "--json", XDG_DATA_HOME=str(tmp_path / "data")).json
    assert in_json["model"] == BUNDLED
    assert in_json["note"] in ended.output


def test_without_a_library_no_model_answers_unasked(indexed, tmp_path):
    ask = ("ask", "Is it red?", "--image", indexed / "pictures" / "red.png")
    ended = polyglance(*ask, XDG_DATA_HOME=str(tmp_path / "data"))
    assert_refused(ended, "--model", "Salesforce/blip-vqa-base for photographs", f"{BUNDLED} for drawn scenes")


def test_ask_shows_a_table(indexed):
    ended = polyglance("ask", "Is it red?", "--image", "pictures/red.png", "--library", "library", cwd=indexed)
    assert (ended.status, ended.errors) == (0, "")
    assert "probability" in ended.output


def test_a_library_of_ones_own_follows_xdg(model, tmp_path):
    write_pictures(tmp_path / "pictures")
    home = {"XDG_DATA_HOME": str(tmp_path / "data")}
    assert polyglance("index", tmp_path / "pictures", "--model", model, **home).status == 0
    assert (tmp_path / "data" / "polyglance" / "library").is_dir()
    assert len(polyglance("search", "a red star", "--json", **home).json["results"]) == len(COLOURS)


def test_odd_names_and_queries_do_no_harm_to_a_terminal(model, tmp_path):
    folder = os.fsencode(tmp_path / "pictures")
    os.mkdir(folder)
    names = (b"[red]\x1b[31m.png", b"caf\xe9.png", "강아지 \u202egnp.png".encode(), b"-k.png", b"a\nb.png")
    for number, name in enumerate(names):
        Image.new("RGB", (40, 40), (9, 9, 50 * number)).save(os.fsdecode(folder + b"/one.png"))
        os.rename(folder + b"/one.png", folder + b"/" + name)
    indexed = polyglance("index", "pictures", "--library", "library", "--model", model, "--json", cwd=tmp_path)
    assert (indexed.status, indexed.errors, indexed.json["added"]) == (0, "", 4)
    assert ["UTF-8" in failed["reason"] for failed in indexed.json["failed"]] == [True]
    shown = polyglance("search", "[bold]a red star[/] \x1b[31m", "--library", "library", cwd=tmp_path)
    assert shown.status == 0, shown.errors
    assert "\x1b" not in shown.output
    assert "\u202e" not in shown.output
    assert "[red]" in shown.output


def test_model_info(model):
    ended = polyglance("model", "info", model, "--json")
    fields = {"name", "fingerprint", "tasks", "languages", "embedding_dim", "answers", "dtype", "instruction_set"}
    assert set(ended.json) == fields
    assert ended.json["fingerprint"] in polyglance("model", "info", model).output


def test_scenes_are_made_in_the_languages_asked_for(tmp_path):
    ended = polyglance(
        "scenes", "make", "here", "--count", "5", "--seed", "3", "--languages", "en,ko", "--json", cwd=tmp_path
    )
    assert (ended.status, ended.errors) == (0, "")
    assert ended.json == {"folder": "here", "pictures": 5, "captions": 5 * 2 * 3, "questions": 5 * 2 * 5}
    assert len(list((tmp_path / "here").rglob("*.png"))) == 5
    assert {"captions.jsonl", "questions.jsonl", "scene_graphs.json"} <= {p.name for p in (tmp_path / "here").iterdir()}


# -- what can go wrong -------------------------------------------------------------------------------------------------


def test_no_library_yet(tmp_path):
    ended = polyglance("search", "a dog", "--library", "nowhere", cwd=tmp_path)
    assert_refused(ended, "nowhere", "polyglance index")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(model, tmp_path):
    assert_refused(polyglance("index", "nowhere", "--library", "library", "--model", model, cwd=tmp_path), "nowhere")


def test_photographs_without_a_model_and_without_a_network(tmp_path):
    write_pictures(tmp_path / "pictures")
    index = ("index", "pictures", "--library", "library")
    ended = polyglance(*index, cwd=tmp_path, HF_HUB_OFFLINE="1", HF_HUB_CACHE=str(tmp_path / "cache"))
    assert_refused(ended, "google/siglip2-base-patch16-256", "cannot be reached", "folder", BUNDLED)
    assert not (tmp_path / "library").exists()


def test_a_model_that_is_not_there(tmp_path):
    write_pictures(tmp_path / "pictures")
    ended = polyglance("index", "pictures", "--library", "library", "--model", "gpt-99", cwd=tmp_path)
    assert_refused(ended, "gpt-99")
    assert_refused(polyglance("model", "info", "gpt-99"), "gpt-99")


@pytest.mark.parametrize("query", ["", "   ", "dog " * 10_000, b"\xff\xfe"], ids=["empty", "blank", "long", "no UTF-8"])
def test_a_query_that_cannot_be_used(indexed, query):
    assert_refused(polyglance("search", query, "--library", "library", cwd=indexed))


def test_a_language_that_nobody_knows(indexed):
    assert_refused(polyglance("search", "kelb", "--language", "mt", "--library", "library", cwd=indexed), "mt")


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40], ids=["empty", "text", "cut"]
)
def test_a_picture_that_is_none(indexed, tmp_path, content):
    fake = tmp_path / "fake.png"
    fake.write_bytes(content)
    assert_refused(polyglance("ask", "Is it red?", "--image", fake, "--library", "library", cwd=indexed))


def test_a_picture_that_is_not_there(indexed):
    ended = polyglance("ask", "Is it red?", "--image", "nowhere.png", "--library", "library", cwd=indexed)
    assert_refused(ended, "nowhere.png")


def test_a_library_of_another_model(indexed, tmp_path):
    other = save_tiny_model(tmp_path / "other", seed=1)
    ended = polyglance("index", "pictures", "--library", "library", "--model", other, cwd=indexed)
    assert_refused(ended, "polyglance index")


def test_a_library_cut_short(model, tmp_path):
    write_pictures(tmp_path / "pictures")
    index = ("index", "pictures", "--library", "library", "--model", model)
    assert polyglance(*index, cwd=tmp_path).status == 0
    for file in (tmp_path / "library").rglob("*.lance"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:20])
    assert_refused(polyglance("search", "a red star", "--library", "library", cwd=tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupted_run_ends_with_130_and_goes_on_where_it_was(model, tmp_path):
    shutil.copytree(gallery_folder(), tmp_path / "pictures")
    index = ("index", "pictures", "--library", "library", "--model", model, "--json")
    # A test run in the background ignores the signal, and so would a command that it starts
    listening = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            listening + "runpy.run_module('polyglance', run_name='__main__', alter_sys=True)",
            *index,
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stderr=subprocess.PIPE,
    ) as running:
        while running.poll() is None and not (tmp_path / "library").exists():
            time.sleep(0.05)
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        assert running.communicate()[1] == b""
        assert running.returncode == 130
    report = polyglance(*index, cwd=tmp_path).json
    assert report["added"] + report["unchanged"] == 1470


def test_a_reader_that_leaves_early_is_no_error_to_speak_of(indexed):
    command = f"{sys.executable} -m polyglance search 'a red star' --library library --json | true"
    done = subprocess.run(
        command,
        shell=True,
        cwd=indexed,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
