"""The dual-tower joint model: two pretrained towers below the cut, and joint layers trained here above it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

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
from polyglance.models.families.towers import Towers
from polyglance.models.huggingface.components import PublishedTokenizer, vector_of
from polyglance.models.protocol import ImageBatch, TextBatch
from polyglance.nn.states import TokenStates
from polyglance.nn.vision import Compression
from polyglance.types import Modality

TOWER: Final = "tower"
"""Where in a model's folder the towers' own files are."""
MOST_KEPT: Final = 9
"""Image tokens a side that a new model keeps at most."""


@dataclass(frozen=True, kw_only=True)
class DualTowerConfig(CutConfig):
    """The shape of a `DualTowerModel` above its towers.

    layers: joint layers. tower_adapters: the shape of an adapter in each tower; None for towers as they are.
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
    below = ("tower_adapters",)
    of_pictures = ("tower_adapters", "compressor")
    of_tasks = (
        *("tower_adapters", "compressor", "expand_text", "expand_image", "kept_position", "task_token"),
        *("joint_layers", "task_adapters", "match_head", "answer_head"),
    )
    adapter_field = "tower_adapters"
    embeds_below = True
    config: DualTowerConfig
    tokenizer: PublishedTokenizer

    def __init__(self, config: DualTowerConfig, tower: Towers, name: str = "untrained") -> None:
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
        """The towers of a published checkpoint in the hub's layout under new joint layers, the same each time, which
        can do nothing yet: `tasks` are those of the towers alone.

        dtype: of weights and products. shape: fields of the configuration that shall differ from what suits the towers.

        Raises CheckpointError as of `Towers`.
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
        """A hash of the configuration, the weights above the towers and the towers' files."""
        found = sha256(json.dumps([asdict(self.config), self.tower.fingerprint]).encode())
        for name, value in sorted(self.state_dict().items()):
            found.update(name.encode() + value.detach().float().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()[:16]

    def in_shape(self, **changed: Any) -> Self:
        """Both share the towers, in the precision and on the device of whichever was moved last."""
        return type(self)(replace(self.config, **changed), self.tower, self.name)

    def save_readers(self, folder: Path) -> None:
        self.tower.save(folder / TOWER)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Towers go where the model goes."""
        self.tower.network._apply(fn)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    # -- preparing -------------------------------------------------------------------------------------------------

    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        return self.tokenizer.read(texts, self.device)

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        """One RGB picture -> (3, height, width) uint8, as the checkpoint's own preprocessor does it."""
        return self.tower.fit(image)

    # -- reading ---------------------------------------------------------------------------------------------------

    def read_text(self, batch: TextBatch) -> TokenStates:
        """The text tower: states of its width, and its vectors."""
        with self._gradients():
            hidden, vector = self.tower.read_text(batch.ids, batch.mask, self.adapter_in("text"))
            return TokenStates(hidden, batch.mask, "text", vector)

    def see(self, batch: ImageBatch) -> Float[Tensor, "batch seen image_width"]:
        """The image tower; the token for the whole picture, where there is one, stands in front."""
        with self._gradients():
            return self.tower.see(batch.pixels, self.adapter_in("image"))

    def compress(self, tokens: Float[Tensor, "batch seen image_width"]) -> TokenStates:
        with self._gradients():
            states = super().compress(self.tower.grid_of(tokens))
            return replace(states, vector=self.tower.image_vector(tokens))

    def adapter_in(self, modality: Modality) -> Adapter | None:
        """What acts behind the layers of that tower."""
        if modality not in self.tower_adapters:
            return None
        adapter = self.tower_adapters[modality]
        assert isinstance(adapter, Adapter)
        return adapter

    # -- asking ----------------------------------------------------------------------------------------------------

    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        """The towers' own vectors, of unit length. Raises ConfigurationError for states that were kept without."""
        return vector_of(states, self.name)


def _compression(tower: Towers) -> tuple[Compression, int]:
    """(how a new model compresses, image tokens a side that it keeps)."""
    if tower.architecture.keeps_shape:  # neighbours in a picture are others than in a square
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
