"""The dual-tower joint model: two pretrained towers below the cut, and joint layers trained here above it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.modules import Adapter
from polyglance.errors import ConfigurationError
from polyglance.models.families.cut_model import CutConfig, CutModel
from polyglance.models.families.towers import TowerPair, Towers
from polyglance.models.huggingface.components import PublishedTokenizer, vector_of
from polyglance.models.protocol import ImageBatch, TextBatch
from polyglance.nn.states import TokenStates
from polyglance.nn.vision import Compression
from polyglance.types import Modality

TOWER: Final = "tower"
"""The subfolder of a model's folder for the files of the towers."""
MOST_KEPT: Final = 9
"""The largest number of image tokens per side that a new model keeps."""


@dataclass(frozen=True, kw_only=True)
class DualTowerConfig(CutConfig):
    """The shape of a `DualTowerModel` above its towers.

    layers: the number of joint layers. tower_adapters: the configuration of an adapter in each tower; None for towers
    without adapters.
    """

    layers: int = 4
    tower_adapters: AdapterConfig | None = None

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise ConfigurationError(f"expected one or more joint layers, got {self.layers}")
        if self.tower_adapters and self.tower_adapters.placement != "pfeiffer":
            raise ConfigurationError(
                f"expected adapters behind a tower's layers (pfeiffer), got {self.tower_adapters.placement}"
            )
        super().__post_init__()

    @property
    def joint_depth(self) -> int:
        return self.layers


class DualTowerModel(CutModel):
    """A model whose lower layers are the towers of CLIP, SigLIP and their kin: they give the vectors, and the
    joint layers read the states of their tokens.

    The towers are never trained, only adapters in them are; they are none of the model's own weights, and are kept as
    the files that they came in.
    """

    family = "dual-tower"
    below: ClassVar[tuple[str, ...]] = ("tower_adapters",)
    of_pictures = ("tower_adapters", "compressor")
    of_texts = ("tower_adapters",)
    of_tasks: ClassVar[tuple[str, ...]] = (
        *("tower_adapters", "compressor", "expand_text", "expand_image", "kept_position", "task_token"),
        *("joint_layers", "task_adapters", "match_head", "answer_head"),
    )
    adapter_field = "tower_adapters"
    embeds_below = True
    config: DualTowerConfig
    tokenizer: PublishedTokenizer
    tower: TowerPair

    def __init__(self, config: DualTowerConfig, tower: TowerPair, name: str = "untrained") -> None:
        super().__init__(config, name, tower.text_width, tower.image_width, tower.grid)
        self.tower, self.tokenizer, self.fingerprint_outside = tower, tower.tokenizer, tower.fingerprint
        shape = config.tower_adapters
        self.tower_adapters = nn.ModuleDict(
            {kind: Adapter(shape, width, tower.layers[kind]) for kind, width in tower.inner_widths.items()}
            if shape
            else {}
        )
        self.compressor.apply(_initialise)
        for fresh in (self.expand_text, self.expand_image, self.task_token, self.joint_layers, self.match_head):
            fresh.apply(_initialise)
        nn.init.normal_(self.kept_position, std=0.02)

    @classmethod
    def from_checkpoint(cls, folder: Path, name: str, dtype: torch.dtype, **shape: Any) -> Self:
        """Puts new joint layers on the towers of a published checkpoint.

        The new layers are untrained and always the same, so that `tasks` are those of the towers alone.

        folder: the checkpoint in the hub's layout. dtype: the dtype of weights and products. shape: fields of the
        configuration that differ from the defaults for the towers.

        Raises:
            CheckpointError: as in `Towers`.
        """
        tower = Towers(folder, dtype)
        compression, kept = _compression(tower)
        fields: dict[str, Any] = {
            "answers": (),
            "languages": tower.languages,
            "width": 384,
            "heads": 6,
            "feed_forward": 1536,
            "kept_grid": kept,
            "compression": compression,
            "state_width": 256,
            "embedding_dim": tower.embedding_dim,
            "max_text_tokens": tower.tokenizer.max_tokens,
            "tasks": ("embed",),
            "temperature": tower.temperature,
        }
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = cls(DualTowerConfig(**fields | shape), tower, name)
        model.fingerprint = model.hashed()
        return model.to(dtype).eval()

    @property
    def is_export(self) -> bool:
        return self.tower.int8 is not None

    def hashed(self) -> str:
        """Returns a hash of the configuration, the weights above the towers and the files of the towers."""
        found = sha256(json.dumps([asdict(self.config), self.tower.fingerprint]).encode())
        for name, value in sorted(self.state_dict().items()):
            found.update(name.encode() + value.detach().float().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()[:16]

    def in_shape(self, **changed: Any) -> Self:
        """As in `CutModel`. Both models share the towers, on the device and in the dtype of the one moved last."""
        return type(self)(replace(self.config, **changed), self.tower, self.name)

    def save_readers(self, folder: Path) -> None:
        self.tower.save(folder / TOWER)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Moves the towers together with the model."""
        self.tower.network._apply(fn)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    # -- preparing -------------------------------------------------------------------------------------------------

    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        return self.tokenizer.read(texts, self.device)

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        """Converts an RGB picture to (3, height, width), uint8, with the checkpoint's own preprocessor."""
        return self.tower.fit(image)

    # -- reading ---------------------------------------------------------------------------------------------------

    def lower_text(self, batch: TextBatch) -> TokenStates:
        """Runs the text tower. Returns its states and its vectors."""
        with self._gradients():
            hidden, vector = self.tower.read_text(batch.ids, batch.mask, self.adapter_in("text"))
            return TokenStates(hidden, batch.mask, "text", vector)

    def see(self, batch: ImageBatch) -> Float[Tensor, "batch seen image_width"]:
        """Runs the image tower. The tokens for the whole picture come first, if there are any."""
        with self._gradients():
            return self.tower.see(batch.pixels, self.adapter_in("image"))

    def compress(self, tokens: Float[Tensor, "batch seen image_width"]) -> TokenStates:
        with self._gradients():
            states = super().compress(self.tower.grid_of(tokens))
            return replace(states, vector=self.image_vector(tokens))

    def image_vector(self, tokens: Float[Tensor, "batch seen image_width"]) -> Float[Tensor, "batch embedding_dim"]:
        """Returns the vectors of pictures, of unit length, from the output of `see`."""
        assert isinstance(self.tower, Towers)
        return self.tower.image_vector(tokens)

    def adapter_in(self, modality: Modality) -> Adapter | None:
        """Returns the adapter that acts after the layers of a tower, or None."""
        if modality not in self.tower_adapters:
            return None
        adapter = self.tower_adapters[modality]
        assert isinstance(adapter, Adapter)
        return adapter

    # -- asking ----------------------------------------------------------------------------------------------------

    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        """Returns the vectors of the towers, of unit length. Raises ConfigurationError if the states have none."""
        return vector_of(states, self.name)


def _compression(tower: Towers) -> tuple[Compression, int]:
    """Returns the compression of a new model and the number of image tokens per side that it keeps."""
    if tower.keeps_shape:  # neighbours in a picture are others than in a square
        return "queries", MOST_KEPT - 1
    kept = max(side for side in range(1, MOST_KEPT + 1) if not tower.grid % side)
    if 2 * kept < min(tower.grid, MOST_KEPT):  # squares would be so large that little is left of them
        return "mean", MOST_KEPT - 1
    return "merge", kept


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
