from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from polyglance.errors import ConfigurationError
from polyglance.nn.vision import (
    ConvStem,
    MeanCompressor,
    MergeCompressor,
    PatchStem,
    QueryCompressor,
    compressor,
    is_real,
    on_canvas,
)


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


@pytest.mark.parametrize(
    ("size", "patches"),
    [((10, 10), (6, 6)), ((20, 10), (9, 5)), ((30, 29), (6, 6)), ((7, 9), (6, 7)), ((900, 3), (9, 1))],
)
def test_a_picture_keeps_its_shape_on_a_canvas(size: tuple[int, int], patches: tuple[int, int]) -> None:
    canvas = on_canvas(Image.new("RGB", size, (255, 7, 255)), shorter=24, patch=4)
    wide, high = patches
    assert canvas.shape == (3, 37, 36)
    assert (canvas[0, -1, 0], canvas[1, -1, 0]) == (high, wide)
    assert (canvas[1, :-1][: 4 * high, : 4 * wide] == 7).all()
    assert canvas[:, :-1].astype(np.int64).sum() == (255 + 7 + 255) * 16 * high * wide


def test_patches_have_the_positions_of_their_own_grid() -> None:
    torch.manual_seed(0)
    stem, position = PatchStem(4, 8), torch.randn(36, 8)
    pictures = [Image.new("RGB", size, "red") for size in ((10, 10), (20, 10))]
    canvases = torch.from_numpy(np.stack([on_canvas(picture, shorter=24, patch=4) for picture in pictures]))
    tokens = stem(canvases, position)
    assert is_real(tokens).sum(dim=1).tolist() == [1 + 36, 1 + 45]
    torch.testing.assert_close(tokens[0, :37], stem(canvases[:1], position)[0])
    patch = stem.project(canvases[:1, :, :4, :4] / 127.5 - 1).flatten()
    torch.testing.assert_close(tokens[0, 1], patch + position[0])
    torch.testing.assert_close(tokens[1, 1], patch + position[0])
    torch.testing.assert_close(tokens[1, 45], patch + position[35])
    torch.testing.assert_close(tokens[1, 2], patch + torch.lerp(position[0], position[1], 5 / 8))


def test_queries_do_not_see_padding() -> None:
    asked = QueryCompressor(2, 8, 4, heads=2)
    tokens = torch.randn(1, 9, 8)
    padded = torch.cat([tokens, torch.zeros(1, 3, 8)], dim=1)
    torch.testing.assert_close(asked(padded), asked(tokens))


def test_without_a_compression_tokens_stay_as_they_are() -> None:
    tokens = torch.randn(2, 5, 8)
    assert torch.equal(compressor("none", 0, 0, 8, 8, heads=2)(tokens), tokens)
