"""How pictures are read; what a library holds of them afterwards is in `tests/test_library.py`."""

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from polyglance.library import Library
from polyglance.models.protocol import ImageBatch
from polyglance.nn.states import TokenStates
from tests.fakes import ColourModel


@dataclass
class ThreadsModel(ColourModel):
    """Knows which threads prepared its pictures."""

    seen: set[int] = field(default_factory=set)

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        self.seen.add(threading.get_ident())
        return super().preprocess(image)


@dataclass
class FussyModel(ColourModel):
    """Takes no batch with a picture that is `odd`: it raises `error`, or runs out of memory."""

    odd: tuple[int, int, int] = (1, 2, 3)
    error: type[BaseException] = ValueError

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(image.resize((8, 8))).transpose(2, 0, 1).copy()

    def read_images(self, batch: ImageBatch) -> TokenStates:
        if (batch.pixels == torch.tensor(self.odd).view(1, 3, 1, 1)).flatten(1).all(1).any():
            raise self.error("a picture\nthat is odd")
        return super().read_images(batch)


def draw(folder: Path, odd: Collection[int], count: int = 40) -> Path:
    """Pictures by number; those that are odd are all of one content."""
    folder.mkdir()
    for number in range(count):
        colour = FussyModel.odd if number in odd else (200, number, 0)
        Image.new("RGB", (20, 20), colour).save(folder / f"{number:02}.png")
    return folder


def test_a_picture_that_the_model_does_not_take_fails_alone(tmp_path: Path) -> None:
    pictures = draw(tmp_path / "pictures", odd={3, 4, 39})
    library = Library.create(tmp_path / "library", model=FussyModel())
    for added, unchanged in ((37, 0), (0, 37)):
        report = library.add(pictures)
        assert (report.added, report.unchanged) == (added, unchanged)
        assert [Path(one.path).name for one in report.failed] == ["03.png", "04.png", "39.png"]
        assert {one.reason for one in report.failed} == {"colours cannot read it: a picture"}
    assert len(library) == 37
    assert len(library._database.states.ids()) == 37


def test_a_picture_that_turned_into_one_that_the_model_does_not_take_leaves(tmp_path: Path) -> None:
    pictures = draw(tmp_path / "pictures", odd=())
    library = Library.create(tmp_path / "library", model=FussyModel())
    library.add(pictures)
    Image.new("RGB", (20, 20), FussyModel.odd).save(pictures / "07.png")
    report = library.add(pictures)
    assert (report.unchanged, report.removed, len(report.failed)) == (39, 1, 1)


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError, KeyboardInterrupt])
def test_out_of_memory_and_an_interrupt_end_the_run(tmp_path: Path, error: type[BaseException]) -> None:
    pictures = draw(tmp_path / "pictures", odd={39})
    library = Library.create(tmp_path / "library", model=FussyModel(error=error))
    with pytest.raises(error):
        library.add(pictures)


@pytest.mark.parametrize("threads", [1, 3])
def test_files_are_decoded_beside_the_model_in_no_more_threads_than_torch_has(tmp_path: Path, threads: int) -> None:
    for number in range(100):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.new("RGB", (200, 100 + number), (number, 0, 0)).save(tmp_path / "pictures" / f"{number}.png")
    model, before = ThreadsModel(), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        Library.create(tmp_path / "library", model=model).add(tmp_path / "pictures")
    finally:
        torch.set_num_threads(before)
    assert 1 <= len(model.seen) <= threads
    assert threading.get_ident() not in model.seen
