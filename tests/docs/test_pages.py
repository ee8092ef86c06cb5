"""Every `python` block of the README and of docs/*.md runs as it stands there, each in a folder of its own.

A page whose blocks need files names in `SET_UP` what writes them into that folder. Nothing is to be added for a page
whose blocks need none.
"""

import re
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.checkpoints import tiny_siglip
from tests.docs.adapter_files import write_adapters, write_bert
from tests.journeys.tiny import save_tiny_model
from tests.sentence_checkpoints import tiny_cross_encoder, tiny_sentence_clip
from tests.single_stream_checkpoints import oscar

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def draw(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, colour in (("star", "red"), ("circle", "green")):
        image = Image.new("RGB", (64, 64), "white")
        ImageDraw.Draw(image).ellipse((10, 10, 50, 50), fill=colour)
        image.save(folder / f"{name}.png")


def for_readme(folder: Path) -> None:
    draw(folder / "polyglance-demo" / "scenes")
    draw(folder / "polyglance-demo" / "gallery")


def for_python(folder: Path) -> None:
    draw(folder)
    draw(folder / "pictures")
    save_tiny_model(folder / "my-model")


def for_checkpoints(folder: Path) -> None:
    from polyglance.models.importing.conversion import import_checkpoint

    oscar(folder / "oscar")
    import_checkpoint(str(folder / "oscar"), folder / "my-vinvl")
    for name in ("one", "two"):
        boxes = np.array([[0, 0, 4, 4]], np.float32)
        np.savez(folder / f"{name}.npz", features=np.ones((1, 2048), np.float32), boxes=boxes, image_size=[8.0, 8.0])
    copytree(tiny_sentence_clip(folder / "embedder"), folder / "my-embedder")
    copytree(tiny_cross_encoder(folder / "reranker"), folder / "my-reranker")
    tiny_siglip(folder / "siglip2")
    write_bert(folder / "minilm")


SET_UP: dict[str, Callable[[Path], None]] = {
    "README.md": for_readme,
    "adapters.md": write_adapters,
    "checkpoints.md": for_checkpoints,
    "python.md": for_python,
}


def blocks() -> list[object]:
    return [
        pytest.param(page, number, id=f"{page.name}-{number}")
        for page in PAGES
        for number in range(len(_BLOCK.findall(page.read_text(encoding="utf-8"))))
    ]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """The folder that a page's set-up wrote, once for all of its blocks."""
    written: dict[Path, Path] = {}

    def prepare(page: Path) -> Path:
        if page not in written:
            written[page] = tmp_path_factory.mktemp(page.stem)
            SET_UP.get(page.name, lambda folder: None)(written[page])
        return written[page]

    return prepare


@pytest.mark.parametrize(("page", "number"), blocks())
def test_a_block_runs_as_it_stands(
    page: Path, number: int, prepared: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copytree(prepared(page), tmp_path / "folder")
    monkeypatch.chdir(folder)
    code = _BLOCK.findall(page.read_text(encoding="utf-8"))[number]
    exec(compile(code, f"{page.name}, block {number}", "exec"), {"__name__": "__main__"})


def test_every_set_up_is_of_a_page_with_code() -> None:
    with_code = {page.name for page in PAGES if _BLOCK.search(page.read_text(encoding="utf-8"))}
    assert set(SET_UP) <= with_code
