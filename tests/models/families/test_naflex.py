"""Pictures in their own shape; that the scores are those of transformers is in `tests/parity/test_dual_tower.py`."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from polyglance.errors import CheckpointError
from polyglance.models.checkpoint import load_folder
from polyglance.models.families.naflex import NaflexPixels
from polyglance.models.protocol import ImageBatch
from tests.checkpoints import PATCH, tiny_naflex


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_naflex(tmp_path_factory.mktemp("naflex"))


@pytest.mark.parametrize(
    ("size", "shape"), [((40, 40), (4, 4)), ((80, 20), (2, 8)), ((9, 900), (16, 1)), ((1, 1), (4, 4))], ids=str
)
def test_a_picture_keeps_its_shape(folder: Path, size: tuple[int, int], shape: tuple[int, int]) -> None:
    pixels = NaflexPixels(folder, PATCH)
    column = pixels.fit(Image.new("RGB", size, "white"))
    assert column.shape == (3, 16 * PATCH + 1, PATCH)
    values, real, shapes = pixels.patches(torch.from_numpy(column)[None], torch.float32)
    assert tuple(shapes[0].tolist()) == shape
    assert real[0].sum() == shape[0] * shape[1]
    assert (values[0, real[0]] == 1).all(), "white is 1 in the network's scale"


def test_what_stands_behind_the_patches_is_zero_and_changes_nothing(folder: Path) -> None:
    model = load_folder(folder, torch.float32)
    rng = np.random.default_rng(0)
    flat = model.preprocess(Image.fromarray(rng.integers(0, 256, (30, 50, 3), np.uint8)))  # 3 x 5 patches of 16
    dirty = flat.copy()
    dirty[:, 15 * PATCH : -1] = 255
    images = ImageBatch(torch.from_numpy(np.stack([flat, dirty])))
    seen = model.see(images)
    assert seen[0, :15].any(dim=1).all()
    assert not seen[:, 15:].any()
    states = model.read_images(images)
    torch.testing.assert_close(states.hidden[0], states.hidden[1])  # rows of a product round each in its own way
    torch.testing.assert_close(model.embed(states)[0], model.embed(states)[1])


def test_in_bfloat16_vectors_point_the_same_way(folder: Path) -> None:
    images = [Image.new("RGB", (30, 50), colour) for colour in ("red", "green")]
    vectors = []
    for dtype in (torch.float32, torch.bfloat16):
        model = load_folder(folder, dtype)
        pixels = torch.from_numpy(np.stack([model.preprocess(image) for image in images]))
        vectors.append(model.embed(model.read_images(ImageBatch(pixels))))
    assert (vectors[0] * vectors[1]).sum(dim=1).min() > 0.99
    assert (vectors[0][0] * vectors[0][1]).sum() < 0.9, "vectors that hardly differ would show nothing"


def test_a_preprocessor_of_other_patches_is_refused(tmp_path: Path) -> None:
    path = tiny_naflex(tmp_path) / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"patch_size": 4}))
    with pytest.raises(CheckpointError, match=r"patches of 8 x 8 pixels.*got one of 4") as raised:
        load_folder(tmp_path)
    assert "\n" not in str(raised.value)
