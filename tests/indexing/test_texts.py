"""How texts are read; what a library holds of them afterwards is in `tests/test_library.py`."""

from dataclasses import dataclass
from pathlib import Path

from polyglance.library import Library
from polyglance.models.protocol import TextBatch
from polyglance.nn.states import TokenStates
from tests.fakes import ColourModel


@dataclass
class PaddingModel(ColourModel):
    """Counts the padding that it is given to read."""

    padding: int = 0

    def read_text(self, batch: TextBatch) -> TokenStates:
        self.padding += int((~batch.mask).sum())
        return super().read_text(batch)


def test_texts_of_a_length_are_read_together(tmp_path: Path) -> None:
    lines = [f"red {number} " + "left " * (20 * (number % 2)) for number in range(256)]
    (tmp_path / "texts.txt").write_text("\n".join(lines), encoding="utf-8")
    model = PaddingModel()
    library = Library.create(tmp_path / "library", model=model)
    assert library.add_texts(tmp_path / "texts.txt").added == len(lines)
    assert model.padding == 0
    assert {result.text for result in library.search_texts("red", k=300).results} == {line.strip() for line in lines}
