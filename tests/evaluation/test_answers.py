"""Answers judged: by hand, and one published model's on xGQA, as IGLUE reports it."""

import csv
import json
from pathlib import Path

import pytest

from polyglance.data.predictions import write_predictions
from polyglance.data.questions import Question, Types, read_questions
from polyglance.errors import DataError
from polyglance.evaluation.answers import agreement, answer_report, compare_answers, score_answers, score_files
from polyglance.languages import DEMO_LANGUAGES
from tests.shared_data import shared_data


def question(
    key: str, answer: str, structural: str | None = None, language: str = "en", balanced: bool = True
) -> Question:
    types = Types(structural, structural and "obj")
    return Question(Path(f"{key[0]}.png"), "What?", answer, language, "test", key, types, balanced=balanced)


ASKED = [question("a1", "red", "query"), question("a2", "yes", "verify"), question("b1", "no", "verify")]


def test_a_missing_answer_is_wrong_and_listed() -> None:
    scores = score_answers("de", ASKED, {"a1": "red", "b1": "no "})
    assert scores.right.tolist() == [True, False, False]
    assert scores.missing == ["a2"]
    assert scores.accuracy == pytest.approx(100 / 3)
    assert scores.by("structural") == {"query": 100, "verify": 0}
    assert scores.by("semantic") == {"obj": pytest.approx(100 / 3)}
    assert score_answers("de", ASKED, {}).accuracy == 0


def test_answers_to_other_questions_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"in de to the 3 questions that are asked, but 1 of 2 are to others, such as c1"
    ):
        score_answers("de", ASKED, {"a1": "red", "c1": "no"})


def test_questions_may_be_left_out() -> None:
    answers = {"a1": "red", "a2": "no", "b1": "yes", "c1": "no"}
    assert score_answers("de", ASKED, answers, {"a2", "b1", "c1"}).accuracy == 100
    unbalanced = [*ASKED[:1], question("a2", "yes", balanced=False)]
    assert score_answers("de", unbalanced, {"a1": "red", "a2": "no"}).accuracy == 100
    with pytest.raises(DataError, match="all of 3 are left out"):
        score_answers("de", ASKED, {}, {"a1", "a2", "b1"})


def test_a_report() -> None:
    english = score_answers("en", ASKED, {"a1": "red", "a2": "yes", "b1": "no"})
    german = score_answers("de", ASKED, {"a1": "red", "a2": "yes"})
    korean = score_answers("ko", ASKED, {"a1": "blue", "a2": "yes"})
    report = answer_report([english, german, korean])
    assert (report["questions"], report["missing"]) == (9, 2)
    assert report["missing_questions"] == [{"language": "de", "question": "b1"}, {"language": "ko", "question": "b1"}]
    assert report["accuracy"] == pytest.approx(600 / 9)
    assert report["mean_without_source"] == pytest.approx(50)
    assert report["by_structural"] == {"query": pytest.approx(200 / 3), "verify": pytest.approx(400 / 6)}
    assert report["by_language"]["de"]["by_structural"] == {"query": 100, "verify": 50}
    assert report["by_language"]["en"]["interval"] == [100, 100]
    assert report["needs"] == {}
    assert json.loads(json.dumps(report)) == report
    untyped = answer_report([score_answers("en", [question("a1", "red")], {})])
    assert (untyped["by_structural"], untyped["mean_without_source"], untyped["agreement"]) == (None, None, None)
    assert set(untyped["needs"]) == {"by_structural", "by_semantic"}


def test_agreement_needs_no_right_answer() -> None:
    """en and de agree on a1 and a2, ko with neither but on a2; where both say nothing nobody agrees."""
    given = {"en": {"a1": "x", "a2": "y"}, "de": {"a1": "x", "a2": "y"}, "ko": {"a1": "z", "a2": "y"}}
    found = agreement([score_answers(code, ASKED, answers) for code, answers in given.items()])
    assert found == {code: pytest.approx(100 * share) for code, share in (("en", 1 / 2), ("de", 1 / 2), ("ko", 1 / 3))}
    assert agreement([score_answers("en", ASKED, {})]) == {}
    assert agreement([score_answers("en", ASKED, {}), score_answers("de", [question("z", "x")], {})]) == {}


def test_two_sets_of_answers_are_compared_over_pictures() -> None:
    asked = [question(f"{number:02}"[::-1], "yes") for number in range(100)]  # ten pictures of ten questions
    a = {one.id: "yes" if one.id[0] != "0" else "no" for one in asked}
    b = {one.id: "yes" for one in asked}
    found = compare_answers([score_answers("en", asked, a)], [score_answers("en", asked, b)])["en"]["accuracy"]
    assert found.interval.mean == pytest.approx(10)
    assert found.likely_noise
    with pytest.raises(DataError, match="in the same languages, got en and de"):
        compare_answers([score_answers("en", asked, a)], [score_answers("de", asked, b)])


def test_questions_of_one_language_serve_all_and_those_of_several_each_its_own(tmp_path: Path) -> None:
    for code in ("en", "de", "ko"):
        write_predictions(tmp_path / f"{code}.json", {"a1": "red" if code == "en" else "rot"})
    name = f"{tmp_path}/{{language}}.json"
    asked = [question("a1", "red"), question("a1", "rot", language="de")]
    assert [one.accuracy for one in score_files(name, asked[:1])] == [0, 100, 0]
    with pytest.raises(DataError, match=r"ko\.json: expected predictions in en, de, as the questions are, got ko"):
        score_files(name, asked)
    (tmp_path / "ko.json").unlink()
    assert [(one.language, one.accuracy) for one in score_files(name, asked)] == [("de", 100), ("en", 100)]
    write_predictions(tmp_path / "answers.json", {"a2": "red"})
    with pytest.raises(DataError, match=r"answers\.json: expected answers in en"):
        score_files(f"{tmp_path}/answers.json", asked[:1])
    with pytest.raises(DataError, match=r"answers\.json: expected to know which of en, de it answers"):
        score_files(f"{tmp_path}/answers.json", asked)


@pytest.fixture(scope="module")
def gold() -> tuple[list[Question], set[str]]:
    """(the questions of test-dev, the ids of those that are no test)."""
    few = shared_data() / "xgqa" / "few_shot" / "en"
    left_out = {one.id for name in ("dev", "train_48") for one in read_questions(few / f"{name}.json", None, False)}
    return read_questions(shared_data() / "iglue" / "gqa_testdev.json", None, False), left_out


def published(shots: int) -> dict[str, float]:
    (row,) = csv.DictReader((shared_data() / "iglue" / "xgqa" / f"published_{shots}.csv").read_text().splitlines())
    return {language: float(value) for language, value in row.items() if language != "model"}


@pytest.mark.parametrize("shots", [0, 48])
def test_published_answers_have_their_published_accuracies(gold, shots: int) -> None:
    """To every decimal that was printed, in all eight languages."""
    folder = "few_shot" if shots else "zero_shot"
    scores = score_files(f"{shared_data()}/iglue/xgqa/{folder}/uc2/test_{{language}}_{shots}_result.json", *gold)
    report = answer_report(scores)
    assert sorted(report["by_language"]) == sorted(DEMO_LANGUAGES)
    assert (report["questions"], report["missing"]) == (8 * 9666, 0)
    expected = published(shots)
    assert report["mean_without_source"] == expected.pop("avg")
    assert expected.keys() >= set(DEMO_LANGUAGES) - {"en"}
    assert {language: report["by_language"][language]["accuracy"] for language in expected} == expected


@pytest.mark.parametrize("shots", [1, 5, 10, 20, 25])
def test_published_german_answers_after_few_pictures(gold, shots: int) -> None:
    (scores,) = score_files(f"{shared_data()}/iglue/xgqa/few_shot/uc2/test_de_{shots}_result.json", *gold)
    assert scores.accuracy == published(shots)["de"]
