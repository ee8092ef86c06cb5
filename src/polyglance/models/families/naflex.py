"""The preprocessor of SigLIP 2's NaFlex checkpoints, which keep a picture's aspect ratio (arXiv:2502.14786).

A picture becomes at most a fixed number of patches, in rows and columns that follow its sides.
"""

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
    """The preprocessor of a NaFlex checkpoint.

    A picture is a column of patches, padded with zeros, so that any pictures fit into one batch. A last row of pixels
    stores the height and width in patches.

    patch: the side of a patch in pixels. most: the largest number of patches of a picture.
    """

    def __init__(self, folder: Path, patch: int) -> None:
        """Loads the preprocessor of a checkpoint.

        patch: the side of a patch in pixels that the network expects.

        Raises:
            CheckpointError: there is no preprocessor, or its patches have another size.
        """
        super().__init__(folder)
        self.patch, self.most = patch, int(self._processor.max_num_patches)
        if self._processor.patch_size != patch:
            raise CheckpointError(
                f"{folder}: expected a preprocessor of patches of {patch} x {patch} pixels, as config.json says, got "
                f"one of {self._processor.patch_size}: copy preprocessor_config.json of this checkpoint"
            )

    def fit(self, image: Image.Image) -> NDArray[np.uint8]:
        """Converts an RGB picture to (3, most * patch + 1, patch), uint8."""
        made = self._processor(image, do_rescale=False, do_normalize=False, return_tensors="np")
        column = np.zeros((3, self.most * self.patch + 1, self.patch), np.uint8)
        column[:, :-1] = made["pixel_values"].reshape(-1, self.patch, 3).transpose(2, 0, 1)
        column[0, -1, :4] = made["spatial_shapes"].astype("<i2").view(np.uint8)
        return column

    def patches(
        self, columns: UInt8[Tensor, "batch 3 height width"], dtype: torch.dtype
    ) -> tuple[Float[Tensor, "batch most values"], Bool[Tensor, "batch most"], Int[Tensor, "batch 2"]]:
        """Returns the network's input patches, their mask, and the height and width of each picture in patches."""
        shapes = columns[:, 0, -1, :4].contiguous().view(torch.int16).long()
        values = self.normalised(columns[:, :, :-1], dtype).unflatten(2, (self.most, self.patch))
        real = torch.arange(self.most, device=columns.device) < shapes.prod(dim=1, keepdim=True)
        return values.permute(0, 2, 3, 4, 1).flatten(2), real, shapes
