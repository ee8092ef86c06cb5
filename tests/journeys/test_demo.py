"""The whole demo, with a tiny untrained model (what it finds is chance, what it writes is not), and as it comes."""

from PIL import Image

from polyglance.cli.contact_sheet import PER_ROW
from polyglance.cli.demo import SCENES, run_demo, show_demo
from polyglance.languages import DEMO_LANGUAGES
from tests.cli.command import polyglance
from tests.journeys.tiny import save_tiny_model

GALLERY = 210
SAMPLES = 40


def test_the_demo_from_an_empty_folder_and_again(tmp_path, capsys):
    model = str(save_tiny_model(tmp_path / "model"))
    first = run_demo(tmp_path / "demo", model)
    assert (first.index.added, first.index.failed) == (GALLERY + SAMPLES + SCENES, [])
    assert first.pictures == first.index.added
    assert tuple(search.language for search in first.searches) == DEMO_LANGUAGES
    assert tuple(search.language for search in first.words) == DEMO_LANGUAGES
    assert all(len(search.results) == PER_ROW for search in first.words)
    assert (tmp_path / "demo" / "samples" / "credits.jsonl").exists()
    with Image.open(first.contact_sheet) as sheet:
        assert sheet.width > 1000

    show_demo(first)
    shown = capsys.readouterr().out
    assert "Bengali" in shown
    assert "sadness" in shown
    assert "contact_sheet.png" in shown

    again = run_demo(tmp_path / "demo", model)
    assert (again.index.added, again.index.unchanged) == (0, first.pictures)


def test_the_command_needs_no_network(tmp_path):
    ended = polyglance("demo", "--json", cwd=tmp_path, HF_HUB_OFFLINE="1", HF_HUB_CACHE=str(tmp_path / "cache"))
    assert (ended.status, ended.errors) == (0, "")
    assert ended.json["pictures"] == GALLERY + SAMPLES + SCENES
    assert [search["reranked_rank"] for search in ended.json["searches"]].count(1) >= 6, "the bundled model finds it"
    assert ended.json["words"][0]["query"] == "something to eat"
    first = ended.json["answers"][:8]
    assert len({one["language"] for one in first}) == 8
    assert all(one["answer"] == one["expected"] for one in first), "what each language asks first; the second is hard"
