from typing import Literal

import pytest
import torch

from polyglance.errors import ConfigurationError
from polyglance.nn.vision import ConvStem, MeanCompressor, MergeCompressor, QueryCompressor, compressor


def test_stem_makes_a_grid_of_tokens() -> None:
    tokens = ConvStem((4, 8, 16)).eval()(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    assert tokens.shape == (2, 16, 16)


def test_compressor_merges_neighbouring_squares() -> None:
    compressor = MergeCompressor(4, 2, 1, 4)
    with torch.no_grad():
        compressor.project.weight.copy_(torch.eye(4))
        compressor.project.bias.zero_()
    grid = torch.arange(16.0).view(1, 16, 1)
    merged = compressor(grid)
    expected = compressor.norm(torch.tensor([[[0.0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]]))
    torch.testing.assert_close(merged, expected)


def test_a_grid_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected kept_grid to divide the grid of 8 x 8 tokens, got 3"):
        compressor("merge", 8, 3, 16, 8, heads=2)


def test_means_are_of_the_parts_of_the_grid() -> None:
    pooled = MeanCompressor(2, 2, 2)
    with torch.no_grad():
        pooled.project.weight.copy_(torch.eye(2))
        pooled.project.bias.zero_()
    grid = torch.stack([torch.arange(16.0), torch.arange(16.0) ** 2], dim=1)[None]
    means = [[2.5, (0 + 1 + 16 + 25) / 4], [4.5, (4 + 9 + 36 + 49) / 4], [10.5, 112.5], [12.5, 158.5]]
    torch.testing.assert_close(pooled(grid), pooled.norm(torch.tensor([means])))


def test_a_query_weighs_all_tokens() -> None:
    asked = QueryCompressor(2, 8, 4, heads=2)
    tokens = torch.randn(3, 9, 8)
    keys, values = asked.key_value(tokens).chunk(2, dim=-1)
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        weights = torch.softmax(asked.query[:, part] @ keys[..., part].transpose(1, 2) / 4**0.5, dim=-1)
        heads.append(weights @ values[..., part])
    torch.testing.assert_close(asked(tokens), asked.norm(asked.project(torch.cat(heads, dim=-1))))


@pytest.mark.parametrize("kind", ["mean", "queries"])
@pytest.mark.parametrize("kept", [1, 3, 5, 8])
def test_any_number_can_be_kept(kind: Literal["mean", "queries"], kept: int) -> None:
    assert compressor(kind, 8, kept, 16, 6, heads=4)(torch.randn(2, 64, 16)).shape == (2, kept**2, 6)
