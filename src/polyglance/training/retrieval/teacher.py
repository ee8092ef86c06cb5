"""A teacher: the cross-encoder of another model, which ranks pairs for a model in training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polyglance.models.families.cut_model import CutModel
from polyglance.nn.states import TokenStates
from polyglance.training.devices import Precision
from polyglance.training.frozen_pictures import PictureInputs
from polyglance.training.state_cache import KeptStates, keep_states
from polyglance.types import StageProgress


@dataclass(frozen=True, eq=False)
class Teacher:
    """A model with its own kept states of the training pictures.

    model: a frozen model. pictures: its states of all pictures.
    """

    model: CutModel
    pictures: KeptStates

    @classmethod
    def read(
        cls,
        model: CutModel,
        images: tuple[Path, ...],
        precision: Precision,
        folder: Path | None,
        report: StageProgress | None,
    ) -> Self:
        """Freezes a model and reads the pictures. folder: where to keep their states; None keeps them in memory."""
        model = model.float().eval().requires_grad_(False)
        inputs = PictureInputs(model, images, compressed=True, precision=precision)
        return cls(model, keep_states(inputs, folder=folder, report=report))

    @torch.no_grad()
    def scores(
        self, texts: Sequence[str], rows: Int[Tensor, " texts"], pairs: tuple[Tensor, Tensor]
    ) -> Float[Tensor, " pairs"]:
        """Returns the match logits of pairs from a batch.

        texts: of the batch. rows: the row of each text's picture. pairs: indices of texts and of pictures in the batch.
        """
        device = self.model.device
        images = TokenStates(*self.pictures.before(0, rows), "image")
        of_texts = self.model.read_text(self.model.tokenize(texts))
        return self.model.match(of_texts[pairs[0].to(device)], images[pairs[1].to(device)])
