"""A classifier as a second pair of eyes."""

import pytest
import torch

from polyglance.nn import class_mixture
from polyglance.nn.class_mixture import ClassifierEyes


@torch.no_grad()
def test_pictures_are_seen_alike_alone_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    eyes = ClassifierEyes("tf_efficientnet_lite0", 8, classes=5).eval()
    eyes.class_vectors.normal_()
    pictures = torch.randint(0, 256, (5, 3, 64, 64), dtype=torch.uint8)
    monkeypatch.setattr(class_mixture, "AT_ONCE", 5)
    grid, whole = eyes(pictures)
    monkeypatch.setattr(class_mixture, "AT_ONCE", 2)
    grid_of_parts, whole_of_parts = eyes(pictures)
    torch.testing.assert_close(grid_of_parts, grid, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(whole_of_parts, whole, atol=1e-4, rtol=1e-4)
    assert (grid.shape, whole.shape) == ((5, 4, eyes.channels), (5, 8))
    torch.testing.assert_close(whole.square().mean(dim=1), torch.ones(5))
