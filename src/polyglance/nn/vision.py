"""Stems, which turn pixels into image tokens, and compressors, which turn image tokens into the few that are stored.

If the pictures of a batch have different numbers of tokens, zero padding follows them.
"""

from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from polyglance.errors import ConfigurationError
from polyglance.kernels.attention import attention
from polyglance.nn.attention import attention_bias

Compression = Literal["merge", "mean", "queries", "none"]


def is_real(tokens: Float[Tensor, "batch tokens width"]) -> Bool[Tensor, "batch tokens"]:
    """Returns True for each token that is not padding: the zeros after the last token that is not zero."""
    return tokens.detach().any(dim=-1).flip(1).cummax(dim=1).values.flip(1)


class ConvStem(nn.Module):
    """Turns pixels into a grid of tokens by strided convolutions, which need far fewer training pictures than a patch
    projection (Xiao et al., "Early convolutions help transformers see better", arXiv:2106.14881).

    The first convolution has stride 4 and each further one stride 2: four of them turn 256 x 256 pixels into 8 x 8
    tokens.

    channels: the output channels of each convolution.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        blocks: list[nn.Module] = [nn.Conv2d(3, channels[0], 4, 4)]
        for before, after in pairwise(channels):
            blocks += [nn.BatchNorm2d(before), nn.GELU(), nn.Conv2d(before, after, 3, 2, 1)]
        self.blocks = nn.Sequential(*blocks, nn.BatchNorm2d(channels[-1]))

    def forward(self, pixels: UInt8[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens channels"]:
        x: Tensor = self.blocks(pixels.to(next(self.parameters()).dtype) / 127.5 - 1)
        return x.flatten(2).transpose(1, 2)


class PatchStem(nn.Module):
    """Projects each patch of pixels to a token, as ViLT does (arXiv:2102.03334).

    A picture keeps its shape: the positions of a square grid are scaled to it. A token for the whole picture comes
    first.

    patch: the side of a patch in pixels. width: of the tokens.
    """

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.patch = patch
        self.project = nn.Conv2d(3, width, patch, patch)
        self.whole = nn.Parameter(torch.randn(width))

    def forward(
        self, canvas: UInt8[Tensor, "batch 3 height width"], position: Float[Tensor, "grid_squared channels"]
    ) -> Float[Tensor, "batch tokens channels"]:
        """Returns the tokens, padded with zeros. canvas: made by `on_canvas`. position: the embeddings of a square
        grid."""
        sizes = canvas[:, :2, -1, 0].long()
        high, wide = (self.patch * side for side in sizes.amax(dim=0).tolist())
        x = self.project(canvas[:, :, :high, :wide].to(self.whole.dtype) / 127.5 - 1)
        square = position.T.unflatten(1, (round(len(position) ** 0.5), -1))[None]
        rows = []
        for picture, (high, wide) in zip(x, sizes.tolist(), strict=True):
            scaled = F.interpolate(square, (high, wide), mode="bilinear", align_corners=True)[0]
            tokens = (picture[:, :high, :wide] + scaled).flatten(1).T
            rows.append(torch.cat([self.whole[None], tokens]))
        return pad_sequence(rows, batch_first=True)


def on_canvas(image: Image.Image, shorter: int, patch: int) -> NDArray[np.uint8]:
    """Places a picture in the upper left of a square canvas that any picture fits on: (3, side + 1, side).

    The last row stores the picture's height (first channel) and width (second channel) in patches, because padding of
    any colour could be part of a picture.

    image: the picture. shorter: its shorter side is scaled to this many pixels, or to fewer if the longer side would
    exceed 1333 / 800 of it. patch: both sides are rounded down to multiples of this.
    """
    longest = int(1333 / 800 * shorter)
    scale = min(shorter / min(image.size), longest / max(image.size))
    wide, high = (max(1, int(side * scale + 0.5) // patch) for side in image.size)
    side = longest // patch * patch
    canvas = np.zeros((3, side + 1, side), np.uint8)
    size = (wide * patch, high * patch)
    scaled = image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)
    canvas[:, : size[1], : size[0]] = np.asarray(scaled).transpose(2, 0, 1)
    canvas[0, -1], canvas[1, -1] = high, wide
    return canvas


def compressor(kind: Compression, grid: int, kept_grid: int, width: int, state_width: int, heads: int) -> nn.Module:
    """Makes a module that compresses grid x grid image tokens of `width` values to kept_grid x kept_grid states of
    `state_width` values.

    kind: the input of the projection. `merge`: the concatenation of each square of neighbouring tokens; `mean`: the
    mean of each part of the grid; `queries`: the output of one learned query per state, which attends to all tokens.
    `none` keeps all tokens unchanged. heads: of the queries' attention.

    Raises ConfigurationError if `kind` is `merge` and `kept_grid` does not divide `grid`.
    """
    match kind:
        case "merge":
            return MergeCompressor(grid, kept_grid, width, state_width)
        case "mean":
            return MeanCompressor(kept_grid, width, state_width)
        case "queries":
            return QueryCompressor(kept_grid, width, state_width, heads)
        case "none":
            return nn.Identity()


class MergeCompressor(nn.Module):
    """Merges each square of neighbouring image tokens into one and projects it to the width that is stored."""

    def __init__(self, grid: int, kept_grid: int, width: int, state_width: int) -> None:
        super().__init__()
        if grid % kept_grid:
            raise ConfigurationError(
                f"expected kept_grid to divide the grid of {grid} x {grid} tokens, got {kept_grid}: "
                "take mean or queries to compress them"
            )
        self.kept_grid, self.merge = kept_grid, grid // kept_grid
        self.project = nn.Linear(width * self.merge**2, state_width)
        self.norm = nn.LayerNorm(state_width)

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch kept state_width"]:
        batch, _, width = x.shape
        kept, merge = self.kept_grid, self.merge
        squares = x.view(batch, kept, merge, kept, merge, width).transpose(2, 3)
        out: Tensor = self.norm(self.project(squares.reshape(batch, kept * kept, merge * merge * width)))
        return out


class MeanCompressor(nn.Module):
    """Projects the mean of each part of the grid; parts overlap if `kept_grid` does not divide the grid."""

    def __init__(self, kept_grid: int, width: int, state_width: int) -> None:
        super().__init__()
        self.kept_grid = kept_grid
        self.project = nn.Linear(width, state_width)
        self.norm = nn.LayerNorm(state_width)

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch kept state_width"]:
        grid = x.transpose(1, 2).unflatten(2, (round(x.shape[1] ** 0.5), -1))
        means = F.adaptive_avg_pool2d(grid, self.kept_grid).flatten(2).transpose(1, 2)
        out: Tensor = self.norm(self.project(means))
        return out


class QueryCompressor(nn.Module):
    """Projects the output of learned queries that attend once to all image tokens (a one-layer version of the resampler
    of Flamingo, arXiv:2204.14198)."""

    def __init__(self, kept_grid: int, width: int, state_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(torch.randn(kept_grid**2, width))
        self.key_value = nn.Linear(width, 2 * width)
        self.project = nn.Linear(width, state_width)
        self.norm = nn.LayerNorm(state_width)

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch kept state_width"]:
        k, v = self.key_value(x).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        q = self.query.to(k.dtype).unflatten(-1, (self.heads, -1)).transpose(0, 1).expand(len(x), -1, -1, -1)
        mask = is_real(x)
        bias = None if mask.all() else attention_bias(mask)
        out: Tensor = self.norm(self.project(attention(q, k, v, bias).transpose(1, 2).flatten(2)))
        return out
