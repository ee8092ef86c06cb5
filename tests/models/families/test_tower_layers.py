"""Networks of transformers compute the same by our products, as `tests/parity/test_dual_tower.py` shows of all."""

from pathlib import Path

import pytest
import torch
import transformers

from polyglance.models.checkpoint import load_folder
from polyglance.models.families.tower_layers import use_kernels
from polyglance.models.huggingface.components import load_network
from polyglance.models.protocol import ImageBatch
from tests.checkpoints import DUAL_TOWERS

CLASSES = {"clip": "CLIPModel", "siglip": "SiglipModel"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", CLASSES)
def test_vectors_of_pictures_and_their_gradients_are_as_before(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    folder, kind = DUAL_TOWERS[name](tmp_path), getattr(transformers, CLASSES[name])
    before, after = (load_network(kind, folder, dtype).requires_grad_(False) for _ in range(2))
    use_kernels(after, after.vision_model)
    assert before.state_dict().keys() == after.state_dict().keys()
    close = {"atol": 1e-5, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 0.1, "rtol": 0.05}
    made = []
    for network in (before, after):
        pixels = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
        with torch.no_grad():
            read = network.get_image_features(pixel_values=pixels).pooler_output
        trained = network.get_image_features(pixel_values=pixels).pooler_output
        trained.float().square().mean().backward()
        made.append((read, trained, pixels.grad))
    for was, now in zip(*made, strict=True):
        assert was.float().std() > 1e-4
        torch.testing.assert_close(now, was, **close)


def test_a_large_batch_is_read_in_parts_and_in_order(tmp_path: Path) -> None:
    model = load_folder(DUAL_TOWERS["clip"](tmp_path), torch.float32)
    pixels = torch.randint(0, 256, (4, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    expected = model.see(ImageBatch(pixels))
    times = 1 + 24 * 2**20 // (4 * 16 * 64 * 4)
    many = model.see(ImageBatch(pixels.repeat(times, 1, 1, 1)))
    torch.testing.assert_close(many, expected.repeat(times, 1, 1), atol=1e-5, rtol=1e-5)
    ids = model.tokenize(["a red star", "a tree", "two green cars", "a"])
    states = model.read_text(ids)
    batch = type(ids)(ids.ids.repeat(times, 1), ids.mask.repeat(times, 1))
    torch.testing.assert_close(model.read_text(batch).vector, states.vector.repeat(times, 1), atol=1e-5, rtol=1e-5)
