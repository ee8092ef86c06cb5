"""GQA's metrics beside accuracy, by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from polyglance.data.questions import Question, Types
from polyglance.data.scene_graphs import SceneGraph
from polyglance.errors import DataError
from polyglance.evaluation.answers import AnswerScores, answer_report, score_answers
from polyglance.evaluation.gqa import NEEDS, gqa_metrics, read_choices, with_metrics

RED = Question(Path("a.png"), "What colour?", "red", id="1", group="color", entailed=("1", "2", "3", "9"))
ASKED = [
    RED,
    replace(RED, id="2", answer="yes", group=None, entailed=("1",)),
    replace(RED, id="3", answer="no", group=None, entailed=(), balanced=False),
    replace(RED, id="4", answer="blue", entailed=()),
    replace(RED, id="5", answer="color", group=None, entailed=(), types=Types(detailed="twoCommon")),
]


def scored(**answers: str) -> AnswerScores:
    return score_answers("en", ASKED, {key.removeprefix("q"): answer for key, answer in answers.items()})


def test_consistency_is_over_what_right_answers_entail() -> None:
    """1 is right and entails 2 (right) and 3 (wrong; it does not count, but is entailed); 9 is nowhere. 2 entails 1."""
    assert gqa_metrics(scored(q1="red", q2="yes", q3="yes"))["consistency"] == pytest.approx(75)
    assert gqa_metrics(scored(q1="red", q2="no", q3="no"))["consistency"] == pytest.approx(50)
    assert gqa_metrics(scored(q1="blue", q2="no"))["consistency"] is None


def test_validity_and_plausibility_need_choices(tmp_path: Path) -> None:
    path = tmp_path / "choices.json"
    some = '{"valid": ["red", "blue"], "plausible": ["red"]}'
    path.write_text(f'{{"1": {some}, "2": {some}, "4": {some}, "5": {{"valid": [], "plausible": []}}}}')
    scores = scored(q1="red", q2="blue", q4="green", q5="shape")
    found = gqa_metrics(scores, read_choices(path))
    assert (found["validity"], found["plausibility"]) == (75, 50)
    assert gqa_metrics(scores)["validity"] is None
    path.write_text(f'{{"1": {some}}}')
    with pytest.raises(DataError, match="choices for every question, but there are none for 2; 4; 5"):
        gqa_metrics(scores, read_choices(path))
    for content, reason in (
        ("[1]", "expected an object of choices"),
        ('{"1": {"valid": []}}', "question 1: plausible is missing"),
    ):
        path.write_text(content)
        with pytest.raises(DataError, match=rf"choices\.json: {reason}"):
            read_choices(path)


def test_distribution_is_chi_square_in_groups() -> None:
    """Colours: right are red and blue, given are red twice: (2 - 1)² / 1 + (0 - 1)² / 1 = 2, over 100."""
    assert gqa_metrics(scored(q1="red", q4="red"))["distribution"] == pytest.approx(0.02)
    assert gqa_metrics(scored(q1="blue", q4="red"))["distribution"] == 0
    ungrouped = score_answers("en", [replace(RED, group=None)], {})
    assert gqa_metrics(ungrouped)["distribution"] is None


def test_groups_weigh_by_their_size() -> None:
    """Colours, two questions, chi-square 2; things, one question, none right: 1. (2 * 2 + 1 * 1) / 3 / 100."""
    asked = [*ASKED, replace(RED, id="6", answer="dog", group="thing")]
    scores = score_answers("en", asked, {"1": "red", "4": "red"})
    assert gqa_metrics(scores)["distribution"] == pytest.approx(5 / 3 / 100)


def test_deviations_count_relative_to_what_is_right() -> None:
    """Right are red twice and blue once, given is blue three times: (0 - 2)² / 2 + (3 - 1)² / 1 = 6."""
    asked = [replace(RED, id=str(number), answer=answer) for number, answer in enumerate(("red", "red", "blue"))]
    scores = score_answers("en", asked, {str(number): "blue" for number in range(3)})
    assert gqa_metrics(scores)["distribution"] == pytest.approx(0.06)


def test_open_answers_are_looked_for_in_the_picture() -> None:
    """Of 1, 4 and 5; 2 and 3 ask for yes or no. Right are red, blue, color, of which the picture has the first two."""
    graphs = {"a": SceneGraph(frozenset({"red", "blue", "dog"}), frozenset({"to the left of"}))}
    found = gqa_metrics(scored(q1="dog", q2="dog", q4="left"), graphs=graphs)["in_picture"]
    assert found == {"answers": pytest.approx(200 / 3), "right_answers": pytest.approx(200 / 3)}
    found = gqa_metrics(scored(q1="cat", q3="dog"), graphs=graphs)["in_picture"]
    assert found == {"answers": 0, "right_answers": pytest.approx(200 / 3)}
    assert gqa_metrics(scored(q1="dog"))["in_picture"] is None
    closed = score_answers("en", [replace(RED, id="1", answer="3"), replace(RED, id="2", answer="no")], {"1": "red"})
    assert gqa_metrics(closed, graphs={})["in_picture"] is None
    with pytest.raises(DataError, match=r"a scene graph of every picture, but there is none of a$"):
        gqa_metrics(scored(q1="dog"), graphs={"b": graphs["a"]})


def test_a_report_says_what_is_needed_and_never_nought() -> None:
    scores = score_answers("en", [replace(RED, group=None, entailed=())], {"1": "red"})
    report = with_metrics(answer_report([scores]), {"en": gqa_metrics(scores)})
    assert [report[name] for name in NEEDS] == [None] * 5
    assert report["needs"].keys() >= NEEDS.keys()
    told = scored(q1="red", q2="yes", q3="yes")
    report = with_metrics(answer_report([told]), {"en": gqa_metrics(told)})
    assert report["consistency"] == report["by_language"]["en"]["consistency"] == pytest.approx(75)
    assert "consistency" not in report["needs"]


def test_a_report_has_the_mean_of_the_languages() -> None:
    graphs = {"a": SceneGraph(frozenset({"red", "blue"}), frozenset())}
    scores = [score_answers(code, ASKED, given) for code, given in (("de", {"1": "red", "4": "red"}), ("ko", {}))]
    report = with_metrics(answer_report(scores), {one.language: gqa_metrics(one, graphs=graphs) for one in scores})
    assert report["in_picture"] == {"answers": pytest.approx(100 / 3), "right_answers": pytest.approx(200 / 3)}
    assert report["by_language"]["ko"]["in_picture"]["answers"] == 0
    assert "in_picture" not in report["needs"]
