"""A network that was trained to classify photographs, as a second pair of eyes below the cut."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from polyglance.nn.efficientnet import SCALES, EfficientNetLite
from polyglance.nn.encoder import unit

AT_ONCE = 2
"""The number of pictures that a CPU reads at once. The wide feature maps of more leave its cache, and their memory goes
back to the system after each layer: 32 at once take twice the time."""
TEMPERATURE = 1.75
"""Of the class probabilities. Above 1, classes that are less likely have a say in the vector of a picture."""


class ClassifierEyes(nn.Module):
    """Reads pictures with an EfficientNet-Lite whose weights stay as they are.

    Beside its feature map it gives a vector for the whole picture: the mean of the vectors of its classes, weighed by
    their probabilities, as in ConSE (arXiv:1312.5650). If these are vectors of sentences about the classes, a picture
    can be compared with any sentence before a pair of both was seen.

    architecture: a name in `SCALES`. dim: of the vector. classes: their number.
    """

    def __init__(self, architecture: str, dim: int, classes: int = 1000) -> None:
        super().__init__()
        self.network = EfficientNetLite(*SCALES[architecture], classes=classes)
        self.network.drop_norms()
        self.network.requires_grad_(False)
        self.class_vectors = nn.Parameter(torch.zeros(classes, dim), requires_grad=False)

    @property
    def channels(self) -> int:
        return self.network.channels

    @torch.no_grad()
    def forward(
        self, pixels: UInt8[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch cells channels"], Float[Tensor, "batch dim"]]:
        """Returns the feature map as tokens, and the vector of the whole picture, whose values have a mean square of
        1."""
        parts = [self._read(part) for part in pixels.split(AT_ONCE if pixels.device.type == "cpu" else len(pixels))]
        grids, wholes = zip(*parts, strict=True)
        return torch.cat(grids), torch.cat(wholes)

    def _read(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        values = pixels.to(self.class_vectors.dtype) / 127.5 - 1
        grid = self.network.trunk(values.contiguous(memory_format=torch.channels_last))
        logits = self.network.logits(self.network.head(grid))
        whole = (logits.float() / TEMPERATURE).softmax(dim=-1) @ self.class_vectors.float()
        return grid.flatten(2).transpose(1, 2), (unit(whole) * whole.shape[1] ** 0.5).to(grid.dtype)
