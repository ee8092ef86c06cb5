"""From pixels to image tokens, and from image tokens to the few that are stored."""

from itertools import pairwise

from jaxtyping import Float, UInt8
from torch import Tensor, nn


class ConvStem(nn.Module):
    """Pixels to a grid of tokens by strided convolutions, which learn from far fewer pictures than one patch projection
    (Xiao et al., "Early convolutions help transformers see better", arXiv:2106.14881).

    The first convolution has stride 4, each further one stride 2: four of them make 8 x 8 tokens of 256 x 256 pixels.
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


class GridCompressor(nn.Module):
    """Merges each square of neighbouring image tokens into one and projects it to the width that is stored."""

    def __init__(self, grid: int, kept_grid: int, width: int, state_width: int) -> None:
        super().__init__()
        if grid % kept_grid:
            raise ValueError(f"a grid of {grid} x {grid} tokens does not merge into {kept_grid} x {kept_grid}")
        self.kept_grid, self.merge = kept_grid, grid // kept_grid
        self.project = nn.Linear(width * self.merge**2, state_width)
        self.norm = nn.LayerNorm(state_width)

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch kept state_width"]:
        batch, _, width = x.shape
        kept, merge = self.kept_grid, self.merge
        squares = x.view(batch, kept, merge, kept, merge, width).transpose(2, 3)
        out: Tensor = self.norm(self.project(squares.reshape(batch, kept * kept, merge * merge * width)))
        return out
