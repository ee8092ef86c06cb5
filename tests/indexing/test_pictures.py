"""How pictures are read; what a library holds of them afterwards is in `tests/test_library.py`."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from polyglance.library import Library
from tests.fakes import ColourModel


@dataclass
class ThreadsModel(ColourModel):
    """Knows which threads prepared its pictures."""

    seen: set[int] = field(default_factory=set)

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        self.seen.add(threading.get_ident())
        return super().preprocess(image)


@pytest.mark.parametrize("threads", [1, 3])
def test_files_are_decoded_beside_the_model_in_no_more_threads_than_torch_has(tmp_path: Path, threads: int) -> None:
    for number in range(100):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.new("RGB", (200, 100 + number), (number, 0, 0)).save(tmp_path / "pictures" / f"{number}.png")
    model, before = ThreadsModel(), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        Library.open(tmp_path / "library", model=model).add(tmp_path / "pictures")
    finally:
        torch.set_num_threads(before)
    assert 1 <= len(model.seen) <= threads
    assert threading.get_ident() not in model.seen
