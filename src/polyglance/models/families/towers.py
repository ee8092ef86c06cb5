"""Pretrained pairs of a text tower and an image tower, by transformers' own classes, from the hub's files."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from polyglance.adapters.modules import Adapter, stacked
from polyglance.errors import CheckpointError
from polyglance.kernels.grouped import bottleneck_onto
from polyglance.languages import KNOWN, MANY_SUBWORDS
from polyglance.models.families.naflex import NaflexPixels
from polyglance.models.families.tower_layers import use_kernels
from polyglance.models.huggingface.components import Pixels, PublishedTokenizer, copy_files, fingerprint, load_network
from polyglance.models.huggingface.download import DESCRIPTION, read_json
from polyglance.models.openvino.tower import OpenVinoTower
from polyglance.nn.attention import attention_bias
from polyglance.nn.encoder import unit
from polyglance.nn.vision import is_real
from polyglance.types import Modality


@dataclass(frozen=True)
class TowerArchitecture:
    """How one architecture of paired towers differs from the others.

    network: the name of the class in transformers. languages: the codes of the languages that it was trained in.
    of_siglip: a text is lower-cased and padded to the full length, and its vector is read at the last position; the
    vector of a picture is what a learned query reads from its tokens, and no token for the whole picture stands in
    front (arXiv:2303.15343). keeps_shape: pictures keep their aspect ratio, see `naflex`.
    """

    network: str
    languages: tuple[str, ...]
    of_siglip: bool = False
    keeps_shape: bool = False


ARCHITECTURES: Final = {
    # arXiv:2103.00020
    "clip": TowerArchitecture("CLIPModel", ("en",)),
    # arXiv:2303.15343, and SigLIP 2 of one resolution
    "siglip": TowerArchitecture("SiglipModel", ("en",), of_siglip=True),
    # arXiv:2502.14786, NaFlex
    "siglip2": TowerArchitecture("Siglip2Model", ("en",), of_siglip=True, keeps_shape=True),
    # arXiv:2507.22062
    "metaclip_2": TowerArchitecture("MetaClip2Model", KNOWN),
    # arXiv:2211.01335
    "chinese_clip": TowerArchitecture("ChineseCLIPModel", ("zh",)),
    # arXiv:2211.06679
    "altclip": TowerArchitecture("AltCLIPModel", ("en", "zh", "es", "fr", "ru", "ar", "ja", "ko", "it")),
}
"""The architectures by the model_type in config.json, which calls SigLIP 2 of one resolution `siglip`."""

INT8: Final = "int8"
"""The subfolder in which an export keeps the image tower in 8-bit integers."""
_ROWS_BYTES: Final = 24 << 20
"""The size of the widest activations of the rows that a tower reads at once. glibc returns every block over 32 MiB to
the system and gets a zeroed one for the next layer, which takes a quarter of the time."""
_ACTING: ContextVar[Adapter | None] = ContextVar("acting", default=None)


class TowerPair(Protocol):
    """Two frozen networks, one for texts and one for pictures, with their tokenizer and preprocessor.

    folder: of their files. fingerprint: a hash of these. tokenizer: of texts. grid: the number of image tokens per side
    of a square picture. text_width, image_width: the widths of the output states. inner_widths, layers: the width and
    the number of each tower's own layers, for towers in which adapters can act. embedding_dim: the length of the
    vectors. temperature: of the contrastive loss that a new model starts with. languages: codes of the languages that
    the text tower reads. keeps_shape: whether pictures keep their aspect ratio. network: both networks. image_network:
    returns the image tokens of normalised pictures. int8: the exported network that reads pictures in place of this
    one, including the adapters in it; None for a model that is not an export.
    """

    folder: Path
    fingerprint: str
    tokenizer: PublishedTokenizer
    grid: int
    text_width: int
    image_width: int
    inner_widths: dict[Modality, int]
    layers: dict[Modality, int]
    embedding_dim: int
    temperature: float
    languages: tuple[str, ...]
    keeps_shape: bool
    network: Any
    image_network: nn.Module
    int8: OpenVinoTower | None

    def fit(self, image: Image.Image) -> NDArray[np.uint8]:
        """Converts an RGB picture to (3, height, width), uint8, of a fixed size, as the checkpoint does."""
        ...

    def normalised(
        self, pixels: UInt8[Tensor, "batch 3 height width"], dtype: torch.dtype
    ) -> Float[Tensor, "batch 3 height width"]:
        """Normalises the output of `fit` as the checkpoint expects."""
        ...

    def read_text(
        self, ids: Int[Tensor, "batch tokens"], mask: Bool[Tensor, "batch tokens"], adapter: Adapter | None
    ) -> tuple[Float[Tensor, "batch tokens width"], Float[Tensor, "batch dim"]]:
        """Returns the states of texts and their vectors.

        adapter: acts after each layer; None for the tower alone.
        """
        ...

    def see(
        self, pixels: UInt8[Tensor, "batch 3 height width"], adapter: Adapter | None
    ) -> Float[Tensor, "batch seen image_width"]:
        """Returns the tokens of pictures, padded with zeros for pictures with fewer tokens.

        adapter: as in `read_text`.
        """
        ...

    def grid_of(self, seen: Float[Tensor, "batch seen image_width"]) -> Float[Tensor, "batch tokens image_width"]:
        """Returns the tokens without those that stand for the whole picture."""
        ...

    def save(self, folder: Path) -> None:
        """Copies the files that the towers were loaded from."""
        ...


class Towers:
    """The towers of one checkpoint: a `TowerPair`, which was trained as one."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        """Loads the towers of a checkpoint.

        folder: the folder of the checkpoint. dtype: the dtype of weights and products.

        Raises:
            CheckpointError: the checkpoint is of another kind, or files are missing, torn, or do not fit each other.
            ConfigurationError: the checkpoint is an export, and OpenVINO is not installed.
        """
        import transformers

        if (kind := read_json(folder, DESCRIPTION).get("model_type")) not in ARCHITECTURES:
            raise CheckpointError(
                f"{folder} holds no pair of towers: expected {', '.join(ARCHITECTURES)}, got {kind!r}"
            )
        self.architecture, self.folder, self.fingerprint = ARCHITECTURES[kind], folder, fingerprint(folder)
        self.network: Any = load_network(getattr(transformers, self.architecture.network), folder, dtype)
        self.network.requires_grad_(False)
        use_kernels(self.network, self.network.vision_model)
        self.image_network: nn.Module = _ImageTower(self.network.vision_model)
        self.keeps_shape = self.architecture.keeps_shape
        self.int8 = OpenVinoTower(folder / INT8) if (folder / INT8).is_dir() else None
        config = self.network.config
        text, vision = config.text_config, config.vision_config
        positions = text.max_position_embeddings
        if hasattr(text, "project_dim"):  # numbers positions from behind the padding's id, as RoBERTa does
            positions -= text.pad_token_id + 1
        self.tokenizer = PublishedTokenizer(folder, text.vocab_size, positions, lowers=self.architecture.of_siglip)
        if self.keeps_shape:
            self._pixels: Pixels = NaflexPixels(folder, vision.patch_size)
            self.grid = math.isqrt(vision.num_patches)
        else:
            self._pixels = Pixels(folder)
            self.grid = vision.image_size // vision.patch_size
            self._require_size(vision.image_size)
        self.inner_widths: dict[Modality, int] = {"text": text.hidden_size, "image": vision.hidden_size}
        self.text_width: int = getattr(text, "project_dim", text.hidden_size)
        self.image_width: int = vision.hidden_size
        self.embedding_dim: int = text.projection_size if self.architecture.of_siglip else config.projection_dim
        many = self.architecture.of_siglip and text.vocab_size > MANY_SUBWORDS
        self.languages = KNOWN if many else self.architecture.languages
        self.temperature: float = (-self.network.logit_scale.float()).exp().item()
        self.layers: dict[Modality, int] = {
            "text": self._hooked(self.network.text_model),
            "image": self._hooked(self.network.vision_model),
        }

    def _require_size(self, size: int) -> None:
        made = self._pixels.fit(Image.new("RGB", (size + 1, size)))
        if made.shape != (3, size, size):
            raise CheckpointError(
                f"{self.folder}: expected a preprocessor that makes pictures of {size} x {size} pixels, as config.json "
                f"says, got one of {made.shape[2]} x {made.shape[1]}: copy preprocessor_config.json of this checkpoint"
            )

    def _hooked(self, tower: nn.Module) -> int:
        """Adds a hook for adapters after each layer of a tower, and returns the number of layers."""
        return hook(next(module for module in tower.modules() if isinstance(module, nn.ModuleList)))

    # -- reading ---------------------------------------------------------------------------------------------------

    def fit(self, image: Image.Image) -> NDArray[np.uint8]:
        """Converts an RGB picture to (3, height, width), uint8, of a fixed size, as the checkpoint does."""
        return self._pixels.fit(image)

    def normalised(
        self, pixels: UInt8[Tensor, "batch 3 height width"], dtype: torch.dtype
    ) -> Float[Tensor, "batch 3 height width"]:
        """Normalises the output of `fit` as the checkpoint expects."""
        return self._pixels.normalised(pixels, dtype)

    def read_text(
        self, ids: Int[Tensor, "batch tokens"], mask: Bool[Tensor, "batch tokens"], adapter: Adapter | None
    ) -> tuple[Float[Tensor, "batch tokens width"], Float[Tensor, "batch dim"]]:
        """Returns the states of the last layer and vectors of unit length.

        adapter: acts after each layer; None for the tower alone.
        """
        tokens = ids.shape[1]
        if self.architecture.of_siglip:
            padding, missing = self.tokenizer.padding_id, self.tokenizer.max_tokens - tokens
            ids = functional.pad(ids.where(mask, padding), (0, missing), value=padding)
        rows = self._rows_at_once(ids.shape[1], self.network.config.text_config, len(ids))
        with acting(adapter):
            parts = [
                self.network.get_text_features(
                    input_ids=some, attention_mask=None if self.architecture.of_siglip else real.long()
                )
                for some, real in zip(ids.split(rows), mask.split(rows), strict=True)
            ]
        states = torch.cat([part.last_hidden_state[:, :tokens] for part in parts])
        return states, unit(torch.cat([part.pooler_output for part in parts]))

    def see(
        self, pixels: UInt8[Tensor, "batch 3 height width"], adapter: Adapter | None
    ) -> Float[Tensor, "batch seen image_width"]:
        """Returns the states of the last layer, padded with zeros for pictures with fewer tokens.

        adapter: as in `read_text`.
        """
        tokens = self._pixels.most if isinstance(self._pixels, NaflexPixels) else self.grid**2
        rows = self._rows_at_once(tokens, self.network.config.vision_config, len(pixels))
        with acting(adapter):
            return torch.cat([self._seen(some) for some in pixels.to(self.network.device).split(rows)])

    def _seen(self, pixels: UInt8[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch seen image_width"]:
        if isinstance(self._pixels, NaflexPixels):
            patches, real, shapes = self._pixels.patches(pixels, self.network.dtype)
            padded: Tensor = self.network.vision_model(patches, attention_bias(real), shapes).last_hidden_state
            return padded.masked_fill(~real[..., None], 0)
        values = self.normalised(pixels, self.network.dtype)
        if self.int8:
            return self.int8(values)
        states: Tensor = self.image_network(values)
        return states

    def _rows_at_once(self, tokens: int, config: Any, rows: int) -> int:
        """Returns how many rows of a batch to read at once in a tower with this configuration."""
        if self.network.device.type != "cpu":
            return rows
        row: int = tokens * config.intermediate_size * self.network.dtype.itemsize
        return max(1, _ROWS_BYTES // row)

    def image_vector(self, seen: Float[Tensor, "batch seen image_width"]) -> Float[Tensor, "batch dim"]:
        """Returns vectors of unit length from the output of `see`."""
        vision, states = self.network.vision_model, seen.to(self.network.dtype)
        if self.keeps_shape:
            return unit(vision.head(states, attention_bias(is_real(states))))
        if self.architecture.of_siglip:
            return unit(vision.head(states))
        return unit(self.network.visual_projection(vision.post_layernorm(states[:, 0])))

    def grid_of(self, seen: Float[Tensor, "batch seen image_width"]) -> Float[Tensor, "batch tokens image_width"]:
        """Returns the tokens without the one for the whole picture."""
        return seen if self.architecture.of_siglip else seen[:, 1:]

    def save(self, folder: Path) -> None:
        """Copies the files that the towers were loaded from."""
        copy_files(self.folder, folder)
        if self.int8:
            self.int8.save(folder / INT8)


class _ImageTower(nn.Module):
    """Returns the states of the last layer."""

    def __init__(self, vision_model: nn.Module) -> None:
        super().__init__()
        self.vision_model = vision_model

    def forward(self, values: Tensor) -> Tensor:
        states: Tensor = self.vision_model(pixel_values=values).last_hidden_state
        return states


def hook(layers: Iterable[nn.Module]) -> int:
    """Lets the adapter of `acting` act after each layer. Returns the number of layers."""
    number = 0
    for number, layer in enumerate(layers, 1):
        layer.register_forward_hook(partial(_adapted, number - 1))
    return number


@contextmanager
def acting(adapter: Adapter | None) -> Iterator[None]:
    token = _ACTING.set(adapter)
    try:
        yield
    finally:
        _ACTING.reset(token)


def _adapted(number: int, layer: nn.Module, inputs: object, output: Tensor) -> Tensor:
    """Adds the output of the acting adapter to the output of a layer."""
    adapter = _ACTING.get()
    if adapter is None or number < adapter.config.depth:
        return output
    rows = output.flatten(0, -2)
    return bottleneck_onto(rows, stacked([adapter], number, "feed_forward"), 0, rows).view_as(output)
