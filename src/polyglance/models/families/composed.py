"""A dual-tower model composed of any image network and any text encoder, which need not know each other."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from polyglance.adapters.modules import Adapter
from polyglance.errors import ConfigurationError
from polyglance.kernels.linear import linear
from polyglance.languages import KNOWN, MANY_SUBWORDS
from polyglance.models.families.backbones import load_backbone
from polyglance.models.families.dual_tower import DualTowerConfig, DualTowerModel
from polyglance.models.families.text_encoder import load_text_encoder, text_encoder_config
from polyglance.models.families.towers import INT8, acting, hook
from polyglance.models.huggingface.components import PublishedTokenizer, copy_files, fingerprint
from polyglance.models.openvino.tower import OpenVinoTower
from polyglance.models.protocol import TextBatch
from polyglance.nn.encoder import unit
from polyglance.nn.states import TokenStates
from polyglance.types import Modality, Progress

IMAGES: Final = "images"
TEXTS: Final = "texts"
"""The subfolders of the towers' folder for the files of the two networks."""
NAMED: Final = "a photo of {}"
"""The sentence that stands for the name of a class."""
DROPOUT: Final = 0.5
"""The share of a projection's values that each step of a training leaves out: a perceptron would learn the features of
networks that stay as they are by heart."""
_PICTURES_AT_ONCE: Final = 2
"""Feature maps of so many pictures fit into blocks of 32 MiB; see `towers` for what larger ones cost."""
Pooling = Literal["mean", "cls"]


@dataclass(frozen=True, kw_only=True)
class ComposedConfig(DualTowerConfig):
    """The shape of a `ComposedModel` above its towers.

    layers: the number of joint layers, which is also the number of the text encoder's layers above the cut. pooling:
    whether the vector of a text is the mean of its tokens (`mean`) or its first token (`cls`). text_prefix: put before
    each text. hidden: the inner width of the projections. classes: the number of classes of the image network that
    the projection of pictures uses; 0 for none.
    """

    norm: Literal["pre", "post"] = "post"
    pooling: Pooling = "mean"
    text_prefix: str = ""
    hidden: int = 1024
    classes: int = 0

    def __post_init__(self) -> None:
        if self.pooling not in get_args(Pooling):
            raise ConfigurationError(f"expected pooling to be {' or '.join(get_args(Pooling))}, got {self.pooling!r}")
        if self.norm != "post":
            raise ConfigurationError(
                f"expected joint layers that can begin as a text encoder's, got norm {self.norm!r}"
            )
        super().__post_init__()


class ComposedTowers:
    """The towers of a composed model: a `TowerPair` that was not trained as one.

    The text encoder's last `joint_layers` layers lie above the cut: states come from below them, and what becomes the
    vector from their output.
    """

    temperature = 0.05
    keeps_shape = False

    def __init__(self, folder: Path, dtype: torch.dtype, joint_layers: int, pooling: Pooling) -> None:
        """Loads the networks from the subfolders `images` and `texts`.

        Raises:
            CheckpointError: a network is of an unknown kind, or files are missing, torn, or do not fit each other.
            ConfigurationError: there are fewer text layers than joint layers, or a library is not installed.
        """
        self.folder, self.pooling = folder, pooling
        marks = [fingerprint(folder / IMAGES), fingerprint(folder / TEXTS)]
        self.fingerprint = sha256(json.dumps(marks).encode()).hexdigest()[:16]
        self.images, self.texts = load_backbone(folder / IMAGES, dtype), load_text_encoder(folder / TEXTS, dtype)
        self.image_network: nn.Module = self.images
        config = self.texts.config
        if joint_layers > config.layers:
            raise ConfigurationError(
                f"expected at most {config.layers} joint layers, as many as the text encoder has, got {joint_layers}"
            )
        self.cut, self.grid, self.image_width = config.layers - joint_layers, self.images.grid, self.images.width
        self.text_width = self.embedding_dim = config.width
        self.network = nn.ModuleDict({"images": self.images, "texts": self.texts}).requires_grad_(False).eval()
        self.tokenizer = PublishedTokenizer(folder / TEXTS, config.vocabulary, config.max_tokens)
        self.languages = KNOWN if config.vocabulary > MANY_SUBWORDS else ("en",)
        self.int8 = OpenVinoTower(folder / INT8) if (folder / INT8).is_dir() else None
        self.layers: dict[Modality, int] = {"text": hook(self.texts.encoder.layers)}
        self.inner_widths: dict[Modality, int] = {"text": config.width}
        if self.images.layers:
            self.layers["image"], self.inner_widths["image"] = hook(self.images.layers), self.images.width

    # -- reading ---------------------------------------------------------------------------------------------------

    def fit(self, image: Image.Image) -> NDArray[np.uint8]:
        """Converts an RGB picture to (3, side, side), uint8, as the image network's preprocessor does."""
        return self.images.pixels.fit(image)

    def normalised(
        self, pixels: UInt8[Tensor, "batch 3 height width"], dtype: torch.dtype
    ) -> Float[Tensor, "batch 3 height width"]:
        """Normalises the output of `fit` as the image network expects."""
        return self.images.pixels.normalised(pixels, dtype)

    def read_text(
        self, ids: Int[Tensor, "batch tokens"], mask: Bool[Tensor, "batch tokens"], adapter: Adapter | None
    ) -> tuple[Float[Tensor, "batch tokens width"], Float[Tensor, "batch width"]]:
        """Returns the states at the cut and the pooled states of the last layer.

        adapter: acts after each layer; None for the encoder alone.
        """
        encoder = self.texts.encoder
        with acting(adapter):
            states = encoder(self.texts.embed(ids, mask), mask, layers=range(self.cut))
            last = encoder(states, mask, layers=range(self.cut, len(encoder.layers)))
        return states, last[:, 0] if self.pooling == "cls" else last.sum(dim=1) / mask.sum(dim=1, keepdim=True)

    def see(
        self, pixels: UInt8[Tensor, "batch 3 height width"], adapter: Adapter | None
    ) -> Float[Tensor, "batch seen image_width"]:
        """Returns the tokens of pictures. Those that stand for a whole picture come first.

        adapter: as in `read_text`.
        """
        rows = len(pixels) if self.device.type != "cpu" else _PICTURES_AT_ONCE
        with acting(adapter):
            return torch.cat([self._seen(some) for some in pixels.to(self.device).split(rows)])

    def _seen(self, pixels: UInt8[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch seen image_width"]:
        values = self.normalised(pixels, self.dtype)
        if self.int8:
            return self.int8(values)
        tokens: Tensor = self.images(values)
        return tokens

    def grid_of(self, seen: Float[Tensor, "batch seen image_width"]) -> Float[Tensor, "batch tokens image_width"]:
        """Returns the tokens without those that stand for the whole picture."""
        return seen[:, self.images.first :]

    def summary(self, seen: Float[Tensor, "batch seen image_width"]) -> Float[Tensor, "batch summary_width"]:
        """Returns what the image network's classifier reads, from the output of `see`."""
        return self.images.summary(seen.to(self.dtype))

    @property
    def device(self) -> torch.device:
        return self.texts.token_embedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.texts.token_embedding.weight.dtype

    def save(self, folder: Path) -> None:
        """Copies the files that the networks were loaded from."""
        for name in (IMAGES, TEXTS):
            copy_files(self.folder / name, folder / name)
        if self.int8:
            self.int8.save(folder / INT8)


class TextProjection(nn.Module):
    """Adds a perceptron to the vectors of texts. It begins as the identity."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inner, self.out = nn.Linear(width, hidden), nn.Linear(hidden, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, pooled: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        x = unit(pooled).to(self.inner.weight.dtype)
        hidden = linear(x, self.inner.weight, self.inner.bias, "gelu")
        added: Tensor = x + self.out(functional.dropout(hidden, DROPOUT, self.training))
        return added


class ClassProjection(nn.Module):
    """Returns the mean of the vectors of classes' names, weighted by the probabilities that a classifier gives them
    (ConSE, arXiv:1312.5650)."""

    def __init__(self, summary_width: int, classes: int, dim: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(summary_width, classes)
        self.vectors = nn.Parameter(torch.zeros(classes, dim))

    def forward(self, summary: Float[Tensor, "batch summary_width"]) -> Float[Tensor, "batch dim"]:
        logits = self.classifier(summary.to(self.vectors.dtype))
        return torch.softmax(logits.float(), dim=1).to(self.vectors.dtype) @ self.vectors


class ImageProjection(nn.Module):
    """Projects pictures to the vectors of texts: by a linear map and a perceptron over the mean and the maximum of the
    tokens and, if the image network has a classifier of named classes, by the names.

    The names are not trained; what stands beside them begins with zeros.

    width: of the tokens. summary_width: of the classifier's input. classes: their number, 0 for none. hidden: the inner
    width. dim: of the vectors.
    """

    def __init__(self, width: int, summary_width: int, classes: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(2 * width)
        self.inner, self.out = nn.Linear(2 * width, hidden), nn.Linear(hidden, dim)
        self.direct = nn.Linear(2 * width, dim, bias=False)
        self.by_class = ClassProjection(summary_width, classes, dim) if classes else None
        if classes:
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.direct.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"], summary: Float[Tensor, "batch summary_width"]
    ) -> Float[Tensor, "batch dim"]:
        tokens = tokens.to(self.out.weight.dtype)
        x = self.norm(torch.cat([tokens.mean(dim=1), tokens.amax(dim=1)], dim=1))
        x = functional.dropout(x, DROPOUT, self.training)
        hidden = functional.dropout(linear(x, self.inner.weight, self.inner.bias, "gelu"), DROPOUT, self.training)
        vector: Tensor = self.out(hidden) + self.direct(x)
        return vector if self.by_class is None else vector + self.by_class(summary)


class ComposedModel(DualTowerModel):
    """A model whose towers are an image network and a text encoder that were trained apart.

    Projections bring the vectors of both into one space. The joint layers begin as the upper layers of the text
    encoder. The networks are never trained, only adapters in them are: in the text encoder, and in an image network
    whose layers are all alike, such as a ViT.
    """

    family = "composed"
    below = ("tower_adapters", "text_projection", "image_projection")
    of_tasks = (*DualTowerModel.of_tasks, "text_projection", "image_projection")
    never_trained = ("image_projection.by_class",)
    config: ComposedConfig
    tower: ComposedTowers

    def __init__(self, config: ComposedConfig, tower: ComposedTowers, name: str = "untrained") -> None:
        super().__init__(config, tower, name)
        head = tower.images.head
        summary_width = head.in_features if head is not None and config.classes else tower.image_width
        self.text_projection = TextProjection(tower.embedding_dim, config.hidden)
        self.image_projection = ImageProjection(
            tower.image_width, summary_width, config.classes, config.hidden, tower.embedding_dim
        )

    @classmethod
    def from_networks(
        cls,
        folder: Path,
        name: str,
        dtype: torch.dtype,
        joint_layers: int | None = None,
        progress: Progress | None = None,
        **shape: Any,
    ) -> Self:
        """Puts projections and joint layers on two networks.

        The joint layers are copies of the text encoder's upper layers. With a classifier of named classes the model can
        search; else it must be trained first, and new weights are always the same.

        folder: the networks' files in the subfolders `images` and `texts`. dtype: the dtype of weights and products.
        joint_layers: None means half of the text encoder's layers, at most 4. progress: called with the number of names
        that are read and the number of all names. shape: fields of the configuration that differ from the defaults.

        Raises:
            CheckpointError, ConfigurationError: as in `ComposedTowers`.
        """
        pooling = shape.get("pooling", "mean")
        if joint_layers is None:
            joint_layers = max(1, min(4, text_encoder_config(folder / TEXTS).layers // 2))
        tower = ComposedTowers(folder, dtype, joint_layers, pooling)
        body, names = tower.texts.config, tower.images.class_names
        fields: dict[str, Any] = {
            "answers": (),
            "languages": tower.languages,
            "width": body.width,
            "heads": body.heads,
            "feed_forward": body.feed_forward,
            "eps": body.eps,
            "layers": joint_layers,
            "kept_grid": min(4, tower.grid),
            "compression": "merge" if tower.grid % min(4, tower.grid) == 0 else "mean",
            "state_width": 256,
            "embedding_dim": tower.embedding_dim,
            "max_text_tokens": tower.tokenizer.max_tokens,
            "tasks": ("embed",) if names else (),
            "temperature": tower.temperature,
            "classes": len(names),
        }
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = cls(ComposedConfig(**fields | shape), tower, name)
        model._begin(names, progress)
        model.fingerprint = model.hashed()
        return model.to(dtype).eval()

    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        return super().tokenize([self.config.text_prefix + text for text in texts], languages)

    def finish_text(self, states: TokenStates) -> TokenStates:
        """Projects the pooled states of texts, which `lower_text` returns as their vectors."""
        assert states.vector is not None
        with self._gradients():
            return replace(states, vector=unit(self.text_projection(states.vector)))

    def image_vector(self, tokens: Float[Tensor, "batch seen image_width"]) -> Float[Tensor, "batch embedding_dim"]:
        return unit(self.image_projection(self.tower.grid_of(tokens), self.tower.summary(tokens)))

    @torch.no_grad()
    def _begin(self, names: Sequence[str], progress: Progress | None) -> None:
        """Gives the joint layers and the projections what the networks know."""
        encoder = self.tower.texts.encoder
        upper = zip(self.joint_layers.layers, encoder.layers[self.tower.cut :], strict=True)
        for joint, layer in upper:
            joint.load_state_dict(layer.state_dict())
        nn.init.eye_(self.expand_text.weight)
        nn.init.xavier_uniform_(self.expand_image.weight)
        front = self.tokenize([""])
        states, _ = self.tower.read_text(front.ids, front.mask, None)
        self.task_token.weight.copy_(states[0, :1].expand_as(self.task_token.weight))
        if not names:
            return
        by_class, head = self.image_projection.by_class, self.tower.images.head
        assert by_class
        assert head
        by_class.classifier.load_state_dict(head.state_dict())
        vectors = self._of_names(names, progress)
        centre = vectors.mean(dim=0)  # what all names have in common says nothing of a picture
        by_class.vectors.copy_(vectors - centre)
        self.text_projection.out.bias.copy_(-centre)

    def _of_names(self, names: Sequence[str], progress: Progress | None) -> Float[Tensor, "classes dim"]:
        """Returns the vector of each class: the mean over its names, which are separated by commas."""
        synonyms = [[one.strip() for one in name.split(",") if one.strip()] or [name] for name in names]
        every = [NAMED.format(one) for several in synonyms for one in several]
        vectors = []
        for start in range(0, len(every), 64):
            batch = self.tokenize(every[start : start + 64])
            vectors.append(unit(self.tower.read_text(batch.ids, batch.mask, None)[1]))
            if progress:
                progress(min(start + 64, len(every)), len(every))
        parts = torch.cat(vectors).split([len(several) for several in synonyms])
        return torch.stack([part.mean(dim=0) for part in parts])
