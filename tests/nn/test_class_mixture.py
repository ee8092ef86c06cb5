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
    brightness = torch.arange(50, 251, 50)[:, None, None, None]
    pictures = (torch.rand(5, 3, 64, 64) * brightness).to(torch.uint8)
    features = eyes.network.features(pictures / 127.5 - 1).mean(dim=(2, 3))
    logits = (features - features.mean(dim=0)) @ eyes.network.classifier.weight.T
    eyes.network.classifier.weight.mul_(5 / logits.std())
    monkeypatch.setattr(class_mixture, "AT_ONCE", 5)
    grid, whole = eyes(pictures)
    assert torch.pdist(whole).min() > 2e-3, "an order to lose"
    monkeypatch.setattr(class_mixture, "AT_ONCE", 2)
    grid_of_parts, whole_of_parts = eyes(pictures)
    size = (grid[0] - grid[4]).abs().max()
    torch.testing.assert_close(grid_of_parts / size, grid / size, atol=1e-3, rtol=0)
    torch.testing.assert_close(whole_of_parts, whole, atol=1e-4, rtol=1e-4)
    assert (grid.shape, whole.shape) == ((5, 4, eyes.channels), (5, 8))
    torch.testing.assert_close(whole.square().mean(dim=1), torch.ones(5))
