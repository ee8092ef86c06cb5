"""The output of a model's frozen layers for picture files, computed once and kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polyglance.errors import PictureError
from polyglance.models.families.cut_model import CutModel
from polyglance.models.protocol import ImageBatch
from polyglance.models.reading import open_pictures
from polyglance.nn.encoder import Encoder
from polyglance.nn.states import TokenStates
from polyglance.nn.vision import is_real
from polyglance.training.devices import Precision, autocast
from polyglance.training.state_cache import KeptStates, hash_of


def fingerprint_of_sight(model: CutModel, compressed: bool = False) -> str:
    """Returns a hash of the weights that `CutModel.see` uses, including the compressor's if `compressed`."""
    used = tuple(part for part in model.of_pictures if compressed or part != "compressor")
    weights = hash_of({name: value for name, value in model.state_dict().items() if name.startswith(used)}).hex()[:16]
    return f"{weights}{model.fingerprint_outside}"


def is_frozen(model: CutModel, *parts: str) -> bool:
    """Whether no weight with a name that starts with one of `parts` is trained."""
    return not any(weight.requires_grad for name, weight in model.named_parameters() if name.startswith(parts))


def reads_once(model: CutModel) -> bool:
    """Whether no weight that reads pictures is trained, except for the compressor's."""
    return is_frozen(model, *(part for part in model.of_pictures if part != "compressor"))


def kept_pictures(model: CutModel, kept: KeptStates, rows: Int[Tensor, " rows"], compressed: bool) -> TokenStates:
    """Returns the states of some pictures. compressed: whether they were kept compressed; else they are
    compressed now."""
    hidden, mask = kept.before(0, rows)
    return TokenStates(hidden, mask, "image") if compressed else model.compress(hidden)


@dataclass(frozen=True, eq=False)
class PictureInputs:
    """`Inputs` for picture files, read in the precision of a training.

    model: reads the pictures. images: their paths. compressed: whether to keep the compressed states instead of the
    output of `see`. precision: of products.
    """

    model: CutModel
    images: tuple[Path, ...]
    compressed: bool
    precision: Precision

    @property
    def encoder(self) -> Encoder:
        return self.model.joint_layers

    @cached_property
    def fingerprint(self) -> str:
        return f"{fingerprint_of_sight(self.model, self.compressed)} {self.precision}"

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """A hash of the files' paths, sizes and times."""
        facts = [(str(path), *self._stamp(path)) for path in self.images]
        return {"files": torch.tensor(list(sha256(repr(facts).encode(errors="surrogateescape")).digest()))}

    def _stamp(self, path: Path) -> tuple[int, int]:
        try:
            return self.model.identity.stamp(path)
        except PictureError:  # reading the file meets it and says so
            return 0, 0

    def __len__(self) -> int:
        return len(self.images)

    def opened(self, rows: Int[Tensor, " rows"]) -> ImageBatch:
        return open_pictures(self.model, [self.images[row] for row in rows.tolist()])

    def embed(
        self, rows: Int[Tensor, " rows"]
    ) -> tuple[Float[Tensor, "rows tokens width"], Bool[Tensor, "rows tokens"]]:
        with autocast(self.model.device, self.precision):
            seen = self.model.see(self.opened(rows))
            if not self.compressed:
                return seen, is_real(seen)
            states = self.model.compress(seen)
        return states.hidden, states.mask
