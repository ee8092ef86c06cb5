"""A database in memory, injected where one on a disk would be: the library does all of its work with it."""

from pathlib import Path

from PIL import Image

from polyglance.library import Library
from polyglance.store.memory import MemoryDatabase
from polyglance.store.protocols import ReaderFacts
from tests.fakes import ColourModel


def test_a_library_works_in_memory(tmp_path: Path):
    for colour in ("red", "blue"):
        Image.new("RGB", (16, 16), colour).save(tmp_path / f"{colour}.png")
    texts = tmp_path / "texts.txt"
    texts.write_text("red\ngreen\n")
    model = ColourModel()
    library = Library(
        MemoryDatabase(model.embedding_dim, ReaderFacts(model.name, model.name, model.fingerprint)), model
    )
    assert library.add([tmp_path]).added == 2
    assert library.add([tmp_path]).unchanged == 2
    assert library.add_texts(texts).added == 2
    assert [Path(hit.path).stem for hit in library.search("red", budget_ms=10_000).results] == ["red", "blue"]
    assert library.search_texts("green", rerank=False).results[0].text == "green"
    assert library.ask("colour?", image=tmp_path / "blue.png").answers[0].answer == "blue"
    assert library.remove(tmp_path / "blue.png") == 1
    assert library.info().pictures == 1
