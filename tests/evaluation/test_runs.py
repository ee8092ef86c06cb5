import json
from dataclasses import replace
from pathlib import Path

import pytest

from polyglance.errors import DataError
from polyglance.evaluation.pools import Pool
from polyglance.evaluation.report import retrieval_report
from polyglance.evaluation.runs import compare, merged, read_run, score

A, B = Path("a.png"), Path("b.png")
POOL = Pool("de", ("eins", "zwei", "drei"), (A, B), ((0,), (1,), (0,)))


def write(folder: Path, content: object) -> Path:
    path = folder / "run"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_run_is_read_in_both_forms(tmp_path: Path) -> None:
    lists = [[0, 1], [], [1]]
    assert read_run(write(tmp_path, lists), POOL, "text_to_image") == lists
    assert read_run(write(tmp_path, [[0, 1], None, [1]]), POOL, "text_to_image") == lists
    trec = "0 Q0 b.png 2 0.5 x\n0 Q0 a.png 1 0.75 x\n\n2 Q0 1 1 -3 x\n"
    assert read_run(write(tmp_path, trec), POOL, "text_to_image") == lists
    assert read_run(write(tmp_path, f"\n {lists}"), POOL, "text_to_image") == lists
    trec = "a.png Q0 2 1 9 x\na.png Q0 0 2 8 x\n1 Q0 1 1 1 x\n"
    assert read_run(write(tmp_path, trec), POOL, "image_to_text") == [[2, 0], [1]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([[0]], "expected a list for each of 3 queries, got 1"),
        ([[0], [2], [-1]], "query 1: expected places from 0 to 1, got 2; query 2: .* got -1"),
        ([[0], "a.png", [True]], "query 1: expected places from 0 to 1, got 'a.png'; query 2: .* got True"),
        ("[[0], [", "no JSON"),
        ("0 Q0 a.png 1 0.5 x\n0 Q0 c.png 1 0.5 x", r"line 2: there is no item 'c\.png'"),
        ("3 Q0 a.png 1 0.5 x", "line 1: there is no query '3': expected a place from 0 to 2"),
        ("0 Q0 a.png 1 nan x", "line 1: expected a score, got 'nan'"),
        ("0 a.png 1", "line 1: expected QUERY Q0 ITEM RANK SCORE TAG, got 3 words"),
    ],
)
def test_a_run_that_does_not_fit_is_refused(tmp_path: Path, content: object, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read_run(write(tmp_path, content), POOL, "text_to_image")


def test_a_run_in_another_encoding_is_refused_with_the_lines(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_bytes("0 Q0 a.png 1 0.5 x\n0 Q0 grün.png 1 0.5 x".encode("latin-1"))
    with pytest.raises(DataError, match="line 2: there is no item 'gr\N{REPLACEMENT CHARACTER}n"):
        read_run(path, POOL, "text_to_image")
    with pytest.raises(DataError, match="ranked lists"):
        read_run(tmp_path / "nowhere", POOL, "text_to_image")


def test_a_query_without_a_result_is_a_miss_and_is_listed() -> None:
    scores = score([[0], [], [0, 1]], POOL, "text_to_image")
    assert scores.percent["R@1"] == pytest.approx(200 / 3)
    report = retrieval_report([scores])
    assert (report["queries"], report["missing"]) == (3, 1)
    assert report["missing_queries"] == [{"language": "de", "direction": "text_to_image", "query": 1}]
    assert report["image_to_text"] is None
    assert "rsum" not in report


def test_both_directions_are_summed_up() -> None:
    both = [score([[0], [1], [1, 0]], POOL, "text_to_image"), score([[1, 2], [1]], POOL, "image_to_text")]
    report = retrieval_report(both, {"text": 1.0})
    assert report["text_to_image"]["R@1"] == pytest.approx(66.6667)
    assert report["image_to_text"]["R@1"] == 50
    assert report["rsum"] == pytest.approx(66.6667 + 50 + 400, abs=1e-3)
    assert report["mean_recall"] == pytest.approx(report["rsum"] / 6, abs=1e-3)
    assert report["by_language"]["de"]["rsum"] == report["rsum"]
    assert report["milliseconds"] == {"text": 1.0}


def test_languages_and_directions_are_reported_apart() -> None:
    """German is right in one direction and wrong in the other, English half of the time in both."""
    english = replace(POOL, language="en", texts=("one", "two"), fits=((0,), (1,)))
    scores = [
        score([[0], [1], [0]], POOL, "text_to_image"),
        score([[1], [0]], POOL, "image_to_text"),
        score([[0], [0]], english, "text_to_image"),
        score([[0], [0]], english, "image_to_text"),
    ]
    report = retrieval_report(scores)
    found = {
        (code, direction): report["by_language"][code][direction]["R@1"]
        for code in ("de", "en")
        for direction in ("text_to_image", "image_to_text")
    }
    assert list(found.values()) == [100, 0, 50, 50]
    assert (report["text_to_image"]["R@1"], report["image_to_text"]["R@1"]) == (75, 25)
    assert report["by_language"]["de"]["text_to_image"]["intervals"]["R@1"] == [100, 100]
    low, high = report["by_language"]["en"]["text_to_image"]["intervals"]["R@1"]
    assert low < 50 < high
    alone = retrieval_report(scores[:1])
    assert "rsum" not in alone["by_language"]["de"]


def test_merged_scores_count_the_queries_of_all_parts() -> None:
    parts = [score(run, POOL, "text_to_image") for run in ([[0], [], [0]], [[], [1], []])]
    other = score([[0], []], POOL, "image_to_text")
    both, alone = merged([parts[0], other, parts[1]])
    assert (both.language, both.direction, len(both.judged), both.missing) == ("de", "text_to_image", 6, (1, 3, 5))
    assert both.judged == (*parts[0].judged, *parts[1].judged)
    assert alone == other


def test_runs_are_compared_query_by_query() -> None:
    a, b = (score(run, POOL, "text_to_image") for run in ([[1], [1], [0]], [[0], [1], [0]]))
    assert compare(a, b)["R@1"].interval.mean == pytest.approx(100 / 3)
    assert compare(a, b)["R@1"].likely_noise
