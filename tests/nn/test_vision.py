import pytest
import torch

from polyglance.nn.vision import ConvStem, GridCompressor


def test_stem_makes_a_grid_of_tokens() -> None:
    tokens = ConvStem((4, 8, 16)).eval()(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    assert tokens.shape == (2, 16, 16)


def test_compressor_merges_neighbouring_squares() -> None:
    compressor = GridCompressor(4, 2, 1, 4)
    with torch.no_grad():
        compressor.project.weight.copy_(torch.eye(4))
        compressor.project.bias.zero_()
    grid = torch.arange(16.0).view(1, 16, 1)
    merged = compressor(grid)
    expected = compressor.norm(torch.tensor([[[0.0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]]))
    torch.testing.assert_close(merged, expected)


def test_a_grid_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="does not merge"):
        GridCompressor(8, 3, 16, 8)
