"""Pictures in their own shape, as SigLIP 2's NaFlex checkpoints read them (arXiv:2502.14786): as many patches as there
may be, in as many rows and columns as the picture's sides ask for."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from polyglance.errors import CheckpointError
from polyglance.models.huggingface.components import Pixels


class NaflexPixels(Pixels):
    """The preprocessor of such a checkpoint.

    A picture comes as a column of patches, one below the other and zeros behind the last, so that any can stand in a
    batch with any other. A last row of pixels says how many patches high and wide it is.
    most: patches of a picture.
    """

    def __init__(self, folder: Path, patch: int) -> None:
        """patch: pixels a side, as the network reads them. Raises CheckpointError where there is no preprocessor, or
        one of other patches."""
        super().__init__(folder)
        self.patch, self.most = patch, int(self._processor.max_num_patches)
        if self._processor.patch_size != patch:
            raise CheckpointError(
                f"{folder}: expected a preprocessor of patches of {patch} x {patch} pixels, as config.json says, got "
                f"one of {self._processor.patch_size}: copy preprocessor_config.json of this checkpoint"
            )

    def fit(self, image: Image.Image) -> NDArray[np.uint8]:
        """One RGB picture -> (3, most * patch + 1, patch) uint8."""
        made = self._processor(image, do_rescale=False, do_normalize=False, return_tensors="np")
        column = np.zeros((3, self.most * self.patch + 1, self.patch), np.uint8)
        column[:, :-1] = made["pixel_values"].reshape(-1, self.patch, 3).transpose(2, 0, 1)
        column[0, -1, :4] = made["spatial_shapes"].astype("<i2").view(np.uint8)
        return column

    def patches(
        self, columns: UInt8[Tensor, "batch 3 height width"], dtype: torch.dtype
    ) -> tuple[Float[Tensor, "batch most values"], Bool[Tensor, "batch most"], Int[Tensor, "batch 2"]]:
        """(the patches as the network reads them, where there are some, patches high and wide)."""
        shapes = columns[:, 0, -1, :4].contiguous().view(torch.int16).long()
        values = self.normalised(columns[:, :, :-1], dtype).unflatten(2, (self.most, self.patch))
        real = torch.arange(self.most, device=columns.device) < shapes.prod(dim=1, keepdim=True)
        return values.permute(0, 2, 3, 4, 1).flatten(2), real, shapes
