import json

import pytest

from polyglance.cli.demo import (
    MARKER,
    WORDS,
    DemoTarget,
    called,
    make_pictures,
    outcome,
    questions_about,
    said_in_every_language,
    scene_target,
)
from polyglance.data.gallery import gallery
from polyglance.errors import ConfigurationError
from polyglance.languages import DEMO_LANGUAGES
from polyglance.types import SearchResponse, SearchResult


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path):
    """A demo folder with two scenes that are said in every language, without their pictures."""
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    captions = [
        {"id": name, "image": f"{name}.png", "language": language, "caption": f"{language} {name}" + words}
        for name, words in (("long", "x" * 200), ("middling", "x" * 40))
        for language in reversed(DEMO_LANGUAGES)
    ]
    questions = [
        {
            "id": number,
            "image": "middling.png",
            "language": language,
            "question": f"{language} {number}?",
            "answer": "yes",
            "types": {"structural": structural, "semantic": "obj"},
        }
        for number, structural in enumerate(("verify", "verify", "query", "choose"))
        for language in DEMO_LANGUAGES
    ]
    (scenes / "captions.jsonl").write_text(lines(*captions))
    (scenes / "questions.jsonl").write_text(lines(*questions))
    return tmp_path


def test_lines_are_gathered_by_meaning_in_the_order_of_the_languages(folder):
    spoken = said_in_every_language(folder / "scenes" / "captions.jsonl")
    assert [list(meaning) for meaning in spoken] == [list(DEMO_LANGUAGES)] * 2


def test_the_scene_searched_for_has_a_caption_of_middling_length(folder):
    task = scene_target(folder)
    assert task.expected == folder / "scenes" / "middling.png"
    assert task.queries["ko"].startswith("ko middling")


def test_the_words_searched_for_are_no_name_and_no_keyword_of_an_emoji():
    assert tuple(WORDS) == DEMO_LANGUAGES
    for language, (query, _) in WORDS.items():
        known = {word.casefold() for entry in gallery() for word in (entry.names[language], *entry.keywords[language])}
        assert query.casefold() not in known


def test_a_picture_of_the_gallery_is_called_by_its_name():
    assert called("/demo/gallery/1f98b.png") == "butterfly"
    assert called("/demo/samples/photographs/coffee.jpg") == "coffee"


def test_questions_are_of_different_kinds_and_in_every_language(folder):
    asked = questions_about(folder, folder / "scenes" / "middling.png")
    assert [line["question"] for line in asked[:2]] == ["en 0?", "de 0?"]
    assert {line["types"]["structural"] for line in asked} == {"verify", "query"}
    assert len(asked) == 2 * len(DEMO_LANGUAGES)
    assert questions_about(folder, folder / "gallery" / "1f98b.png") == []


def test_ranks_are_counted_before_and_after_reranking(tmp_path):
    results = [
        SearchResult(str(tmp_path / name), score, retrieved, rank)
        for rank, (name, score, retrieved) in enumerate((("a", 0.9, 0.1), ("b", 0.5, 0.8), ("c", 0.2, 0.4)), start=1)
    ]
    response = SearchResponse("a dog", "en", "fake", results, {"total": 1.0})
    found = outcome(DemoTarget({"en": "a dog"}, tmp_path / "a"), response)
    assert (found.retrieved_rank, found.reranked_rank) == (3, 1)
    missed = outcome(DemoTarget({"en": "a dog"}, tmp_path / "d"), response)
    assert (missed.retrieved_rank, missed.reranked_rank) == (None, None)


def test_a_folder_of_the_users_is_left_alone(tmp_path):
    (tmp_path / "holiday.png").write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match="--folder"):
        make_pictures(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["holiday.png"]
    assert not (tmp_path / MARKER).exists()
