"""The single-stream joint model: one encoder for both modalities, cut at `first_joint_layer`."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from polyglance.adapters.checkpoint import unfilled
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.data.regions import PLACES, SUFFIX, Regions, read_regions, regions_beside
from polyglance.data.tokenization import Tokenizer
from polyglance.errors import ConfigurationError, DataError, PictureError
from polyglance.models.added_language import Language
from polyglance.models.families.cut_model import CutConfig, CutModel, read_off
from polyglance.models.protocol import ImageBatch, ImageInput, Picture, Reader, TextBatch
from polyglance.nn.class_mixture import ClassifierEyes
from polyglance.nn.efficientnet import SCALES
from polyglance.nn.encoder import Encoder, unit
from polyglance.nn.states import TokenStates
from polyglance.nn.token_head import TokenHead
from polyglance.nn.vision import ConvStem, PatchStem, is_real, on_canvas
from polyglance.types import Task

Sight = Literal["convolutions", "patches", "regions"]


@dataclass(frozen=True, kw_only=True)
class SingleStreamConfig(CutConfig):
    """The shape of a `SingleStreamModel`.

    layers: the number of all layers; the first `first_joint_layer` of them read one modality alone. sight: the form in
    which pictures come in. For convolutions, `stem` holds their channels, and `image_size` is the side of the square
    that pictures are fitted into. eyes: a classifier of photographs, one of `nn.efficientnet.SCALES`, that reads the
    same square beside the convolutions, see `nn.class_mixture`; its vector of the whole picture is kept as one more
    state. None for none. For patches, `patch` is the side of a patch in pixels, `image_size` the side of the square
    that has positions, and `shorter_side` the shorter side of a picture. For regions, `region_width` is the number of
    values of a region. predicts_tokens: whether there is a head that was trained by masked language modelling.

    Only imported models use the other fields. text_eps, image_eps: the epsilon of a norm after the embeddings of texts
    and pictures; None for no norm. norms_at_cut: whether the layers below the cut end in their own norm, for pre-norm
    layers. pools: whether a match and an answer are read at the first token of the text, by a projection and a tanh,
    instead of at a token of the task. answer_width: the width of a hidden layer before the answers; None for no layer.
    """

    vocabulary: int
    layers: int = 7
    first_joint_layer: int = 3
    sight: Sight = "convolutions"
    stem: tuple[int, ...] = (48, 96, 192, 192)
    eyes: str | None = None
    image_size: int = 256
    patch: int = 32
    shorter_side: int = 384
    region_width: int = 2054
    predicts_tokens: bool = False
    text_eps: float | None = None
    image_eps: float | None = None
    norms_at_cut: bool = True
    pools: bool = False
    answer_width: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.first_joint_layer < self.layers:
            raise ConfigurationError(
                f"first_joint_layer must lie between 0 and layers - 1 = {self.layers - 1}, not {self.first_joint_layer}"
            )
        if self.sight not in get_args(Sight):
            raise ConfigurationError(f"expected sight to be {', '.join(get_args(Sight))}, got {self.sight!r}")
        if self.eyes and not self._fits_eyes():
            raise ConfigurationError(
                f"expected eyes of {', '.join(SCALES)} beside compressed convolutions of stride 32, with a state_width "
                f"of at most the width, got {self.eyes!r} beside {self.sight}"
            )
        if self.sight == "patches" and (self.image_size % self.patch or self.shorter_side < self.patch):
            raise ConfigurationError(
                f"expected patches of {self.patch} pixels to divide image_size {self.image_size}, and shorter_side "
                f"{self.shorter_side} to hold one"
            )
        if self.sight != "convolutions" and self.compression not in ("queries", "none"):
            raise ConfigurationError(
                f"expected the compression queries or none for {self.sight}, whose number differs, "
                f"got {self.compression}"
            )
        if self.compression == "none" and self.state_width != self.width:
            raise ConfigurationError(
                f"expected state_width to be the width {self.width} without a compression, got {self.state_width}"
            )
        super().__post_init__()

    @property
    def joint_depth(self) -> int:
        return self.layers - self.first_joint_layer

    def _fits_eyes(self) -> bool:
        stride_32 = self.sight == "convolutions" and self.image_grid * 32 == self.image_size
        return self.eyes in SCALES and stride_32 and self.compression != "none" and self.state_width <= self.width

    @property
    def kept_states(self) -> int:
        return self.kept_grid**2 + bool(self.eyes)

    @property
    def image_grid(self) -> int:
        """The number of positions of image tokens per side before compression; regions have none."""
        match self.sight:
            case "convolutions":
                stride: int = 4 * 2 ** (len(self.stem) - 1)
                return self.image_size // stride
            case "patches":
                return self.image_size // self.patch
            case "regions":
                return 0


class SingleStreamModel(CutModel):
    """One encoder for both modalities. Its lower layers read text and picture separately; its upper layers join them.

    Below the cut each modality has its own layers (the modality experts of VLMo, arXiv:2111.02358, as whole layers), so
    that the picture side can be trained first and its states stored.
    """

    family = "single-stream"
    below = (
        *("token_embedding", "text_position", "text_norm", "text_layers"),
        *("stem", "eyes", "image_position", "image_norm", "image_layers"),
    )
    of_pictures = ("stem", "eyes", "image_position", "image_norm", "image_layers", "compressor")
    of_texts = ("token_embedding", "text_position", "text_norm", "text_layers")
    never_trained = ("eyes.",)
    config: SingleStreamConfig
    tokenizer: Tokenizer

    def __init__(self, config: SingleStreamConfig, tokenizer: Tokenizer, name: str = "untrained") -> None:
        c = config
        super().__init__(c, name, text_width=c.width, image_width=c.width, image_grid=c.image_grid)
        self.tokenizer = tokenizer
        self.token_embedding = nn.Embedding(c.vocabulary, c.width)
        self.text_position = nn.Embedding(c.max_text_tokens, c.width)
        self.text_norm = nn.LayerNorm(c.width, c.text_eps) if c.text_eps else nn.Identity()
        self.text_layers = _lower_layers(c)
        self.stem = _stem(c)
        if c.eyes:
            self.eyes = ClassifierEyes(c.eyes, c.state_width)
            self.eyes_project = nn.Sequential(nn.LayerNorm(self.eyes.channels), nn.Linear(self.eyes.channels, c.width))
        self.image_position = nn.Parameter(torch.zeros(c.image_grid**2, c.width))
        self.image_norm = nn.LayerNorm(c.width, c.image_eps) if c.image_eps else nn.Identity()
        self.image_layers = _lower_layers(c)
        self.embed_head = nn.Linear(c.width, c.embedding_dim)
        self.whole_head = nn.Linear(c.state_width, c.embedding_dim, bias=False) if c.eyes else None
        self.pooler = nn.Sequential(nn.Linear(c.width, c.width), nn.Tanh()) if c.pools else None
        if c.answer_width:
            self.answer_hidden = nn.Sequential(
                nn.Linear(c.width, c.answer_width), nn.LayerNorm(c.answer_width), nn.GELU()
            )
            self.answer_head = nn.Linear(c.answer_width, len(c.answers))
        self.token_head = TokenHead(c.width, c.vocabulary, c.eps) if c.predicts_tokens else None
        self._added: dict[str, Language] = {}
        self.apply(_initialise)
        for position in (self.image_position, self.kept_position):
            nn.init.normal_(position, std=0.02)

    @classmethod
    def blank(cls, config: SingleStreamConfig, tokenizer: Tokenizer, name: str) -> Self:
        """Builds a model with uninitialised weights to load into. Drawing them would take longer than loading."""
        with unfilled():
            model = cls(config, tokenizer, name)
        # For `to_empty`, which asks for a tensor like one on the meta device, torch imports SymPy: a second of a search
        model._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype))  # type: ignore[no-untyped-call]
        for buffer_name, buffer in model.named_buffers():
            if "num_batches" in buffer_name:
                buffer.zero_()
        return model

    def in_shape(self, **changed: Any) -> Self:
        return type(self)(replace(self.config, **changed), self.tokenizer, self.name)

    def save_readers(self, folder: Path) -> None:
        self.tokenizer.save(folder / "tokenizer.json")

    # -- preparing -------------------------------------------------------------------------------------------------

    @property
    def languages(self) -> tuple[str, ...]:
        """The original and the added languages of the model."""
        return tuple(dict.fromkeys((*self.config.languages, *self._added)))

    def add_language(self, language: Language) -> None:
        """Adds a language, whose subwords and adapter read texts in it from now on.

        The weights of the language are moved to the model's current device and dtype. They do not become part of the
        model's weights.

        Raises:
            ConfigurationError: the language has another width or number of text layers.
        """
        body = (self.config.width, self.config.first_joint_layer)
        adapter = language.adapter
        if adapter and (adapter.width, adapter.layers) != body:
            raise ConfigurationError(
                f"expected a language for {body[1]} text layers of width {body[0]}, "
                f"got {language.code!r} for {adapter.layers} of width {adapter.width}"
            )
        self._added[language.code] = language.to(self.device, self.kept_position.dtype)
        self.source = None  # what loaded the model would load it without the language

    @property
    def added_languages(self) -> Mapping[str, str]:
        return {code: language.fingerprint for code, language in self._added.items()}

    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        """Splits texts into subwords, padded to the longest text and cut at `max_text_tokens`."""
        added = tuple(code if code in self._added else None for code in languages)
        if not any(added):
            ids, mask = self.tokenizer.encode(texts, self.config.max_text_tokens)
            return TextBatch(torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device))
        parts = [
            (rows, self._tokenizer(code).encode([texts[row] for row in rows], self.config.max_text_tokens))
            for code, rows in _grouped(added)
        ]
        shape = (len(texts), max(mask.shape[1] for _, (_, mask) in parts))
        ids, mask = np.full(shape, self.tokenizer.padding_id, np.int64), np.zeros(shape, np.bool_)
        for rows, (part_ids, part_mask) in parts:
            ids[rows, : part_ids.shape[1]], mask[rows, : part_mask.shape[1]] = part_ids, part_mask
        return TextBatch(torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device), added)

    def _tokenizer(self, code: str | None) -> Tokenizer:
        return (self._added[code].tokenizer if code else None) or self.tokenizer

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        """Converts an RGB picture to (3, image_size, image_size), uint8: scaled to fit and centred on white.

        A model of patches uses `nn.vision.on_canvas` instead.

        Raises:
            ConfigurationError: the model reads regions.
        """
        if self.config.sight == "regions":
            raise ConfigurationError(f"{self.name} reads regions that a detector found, and no pixels")
        if self.config.sight == "patches":
            return on_canvas(image, self.config.shorter_side, self.config.patch)
        side = self.config.image_size
        scale = side / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        canvas = Image.new("RGB", (side, side), "white")
        canvas.paste(
            image if image.size == size else image.resize(size, Image.Resampling.BICUBIC),
            ((side - size[0]) // 2, (side - size[1]) // 2),
        )
        return np.asarray(canvas).transpose(2, 0, 1).copy()

    @property
    def side_files(self) -> tuple[str, ...]:  # type: ignore[override]
        """The suffix of a detector's regions if the model reads these instead of pixels, else nothing."""
        return (SUFFIX,) if self.config.sight == "regions" else ()

    def open(self, image: ImageInput) -> Picture:
        if self.config.sight != "regions":
            return super().open(image)
        if not isinstance(image, str | os.PathLike):
            raise PictureError(
                f"{self.name} reads what a detector saw, in a file beside the picture: expected the picture's path, "
                f"got {type(image).__name__}"
            )
        try:
            regions = read_regions(regions_beside(image))
            return Picture(regions.size, self.preprocess_regions(regions))
        except (DataError, ConfigurationError) as error:
            raise PictureError(str(error)) from error

    def empty_picture(self) -> Picture:
        """Returns a white picture, or a single region of zeros."""
        if self.config.sight != "regions":
            return super().empty_picture()
        return Picture((256, 256), np.zeros((1, self.config.region_width), np.float32))

    def preprocess_regions(self, picture: Regions) -> Float[np.ndarray, "regions width"]:
        """Converts the regions of a picture to the model's input, followed by the boxes' places if it takes these.

        Raises:
            ConfigurationError: the regions have another width.
        """
        wanted = self.config.region_width
        if self.config.sight != "regions" or wanted - picture.width not in (0, PLACES):
            raise ConfigurationError(
                f"{self.name} reads {self.config.sight}"
                + (f" of {wanted} values" if self.config.sight == "regions" else "")
                + f", got regions of {picture.width}"
            )
        return picture.features if picture.width == wanted else picture.with_places()

    # -- reading ---------------------------------------------------------------------------------------------------

    def lower_text(self, batch: TextBatch) -> TokenStates:
        """Runs the lower layers over each text. Returns states of `width` values."""
        with self._gradients():
            positions = torch.arange(batch.ids.shape[1], device=batch.ids.device)
            x = self.text_norm(self._embedded(batch) + self.text_position(positions))
            return TokenStates(self.text_layers(x, batch.mask, self._language(batch)), batch.mask, "text")

    def _embedded(self, batch: TextBatch) -> Float[Tensor, "batch tokens width"]:
        """Embeds each text with the embeddings of its language."""
        groups = _grouped(batch.languages or (None,))
        if len(groups) == 1:
            return functional.embedding(batch.ids, self.embeddings(groups[0][0]))
        parts = [(rows, functional.embedding(batch.ids[rows], self.embeddings(code))) for code, rows in groups]
        order = torch.tensor([row for rows, _ in parts for row in rows], device=batch.ids.device)
        return torch.cat([part for _, part in parts])[order.argsort()]

    def embeddings(self, language: str | None = None) -> Float[Tensor, "vocabulary width"]:
        """Returns the embeddings of an added language's subwords, or of the model's own."""
        own = self._added[language].embedding if language else None
        return self.token_embedding.weight if own is None else own.weight

    def _language(self, batch: TextBatch) -> Adaptation | None:
        """Returns the adapters of the texts' languages, or None."""
        languages = batch.languages or ()
        adapters = {code: a for code in dict.fromkeys(languages) if code and (a := self._added[code].adapter)}
        if not adapters:
            return None
        return Adaptation(TrainableAdapters(adapters), [code if code in adapters else None for code in languages])

    def predict_tokens(
        self, batch: TextBatch, places: Bool[Tensor, "batch tokens"]
    ) -> dict[str | None, Float[Tensor, "places vocabulary"]]:
        """Runs all layers over each text. Returns the logits of the tokens in the places, row by row, by language.

        Each language has its own subwords, its own head and the inverse of its own invertible adapter (MAD-X,
        arXiv:2005.00052, section 2.2.3).

        Raises:
            ConfigurationError: there is no head.
        """
        states = self.read_text(batch)
        with self._gradients():
            x: Tensor = self.joint_layers(self._expand(states), states.mask)
            found: dict[str | None, Tensor] = {}
            for code, rows in _grouped(batch.languages or (None,) * len(x)):
                added = self._added[code] if code else None
                head = (added.head if added else None) or self.token_head
                if head is None:
                    raise ConfigurationError(f"{self.name} has no head that predicts tokens of its own subwords")
                coupling = added.adapter.coupling if added and added.adapter else None
                inverse = coupling.inverse if coupling else None
                found[code] = head(x[rows][places[rows]], self.embeddings(code), inverse)
            return found

    def read_images(self, batch: ImageBatch) -> TokenStates:
        """Runs the lower layers over each picture and compresses the result."""
        return self.compress(self.see(batch))

    def see(self, batch: ImageBatch) -> Float[Tensor, "batch tokens width"]:
        """Runs the lower layers over each picture, the first half of `read_images`. Returns all image tokens.

        Pictures with fewer tokens are padded with zeros.

        Raises:
            ConfigurationError: the batch holds pixels and the model reads regions, or the other way round.
        """
        pixels = batch.pixels.to(self.device)
        with self._gradients():
            if self.config.eyes:
                return self.see_beside(pixels, *self.eyes(pixels))
            x, mask = self._looked_at(pixels)
            tokens: Tensor = self.image_layers(self.image_norm(x), mask)
            return tokens

    def see_beside(
        self,
        pixels: UInt8[Tensor, "batch 3 high wide"],
        grid: Float[Tensor, "batch cells channels"],
        whole: Float[Tensor, "batch state_width"],
    ) -> Float[Tensor, "batch tokens width"]:
        """Returns the output of `see` from that of `eyes`, which may be kept. The last token is `whole`, padded with
        zeros."""
        x = self.stem(pixels) + self.eyes_project(grid) + self.image_position
        tokens = self.image_layers(self.image_norm(x), is_real(x))
        return torch.cat([tokens, functional.pad(whole, (0, tokens.shape[2] - whole.shape[1]))[:, None]], dim=1)

    def _looked_at(self, pixels: Tensor) -> tuple[Float[Tensor, "batch tokens width"], Bool[Tensor, "batch tokens"]]:
        """Returns the input of the lowest image layer before its norm, and its mask."""
        sight = self.config.sight
        if (pixels.ndim == 3) != (sight == "regions"):
            raise ConfigurationError(
                f"{self.name} reads {sight}, got pictures as {'regions' if pixels.ndim == 3 else 'pixels'}"
            )
        x: Tensor
        if sight == "regions":
            mask = ~pixels.isnan().any(dim=-1)
            return self.stem(pixels.nan_to_num().to(self.kept_position.dtype)), mask
        x = self.stem(pixels, self.image_position) if sight == "patches" else self.stem(pixels) + self.image_position
        return x, is_real(x)

    def compress(self, tokens: Float[Tensor, "batch tokens width"]) -> TokenStates:
        if self.config.compression == "none":
            return TokenStates(tokens.to(self.kept_position.dtype), is_real(tokens), "image")
        if not self.config.eyes:
            return super().compress(tokens)
        kept, whole = super().compress(tokens[:, :-1]), tokens[:, -1:, : self.config.state_width]
        hidden = torch.cat([kept.hidden, whole.to(kept.hidden.dtype)], dim=1)
        return TokenStates(hidden, functional.pad(kept.mask, (0, 1), value=True), "image")

    # -- asking ----------------------------------------------------------------------------------------------------

    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        with self._gradients():
            vector = read_off(self.embed_head, self.joint("embed", states)[0])
            if self.whole_head and states.modality == "image":
                vector = vector + functional.linear(states.hidden[:, -1].float(), self.whole_head.weight.float())
            return unit(vector)

    def joint(
        self, task: Task, *states: TokenStates, depth: int = 0
    ) -> tuple[Float[Tensor, "batch read"], Float[Tensor, "batch tokens width"]]:
        """As in `CutModel.joint`. The first result is the input of the task's head."""
        result, halfway = super().joint(task, *states, depth=depth)
        if self.pooler and task != "embed":
            result = self.pooler(result)
        if self.config.answer_width and task == "answer":
            result = self.answer_hidden(result)
        return result, halfway

    def join(
        self, task: Task, *states: TokenStates
    ) -> tuple[Float[Tensor, "batch tokens width"], Bool[Tensor, "batch tokens"]]:
        """As in `CutModel.join`. A model that pools has no token of the task for a match or an answer."""
        x, mask = super().join(task, *states)
        return (x[:, 1:], mask[:, 1:]) if self.pooler and task != "embed" else (x, mask)

    def _expand(self, states: TokenStates) -> Float[Tensor, "batch tokens width"]:
        if states.modality == "image" and self.config.compression == "none":
            image: Tensor = self.expand_image(states.hidden.to(self.expand_image.weight.dtype))
            return image
        return super()._expand(states)


def as_single_stream(model: Reader) -> SingleStreamModel:
    """Returns a model to which tasks and languages can be added. Raises ConfigurationError for another family."""
    if not isinstance(model, SingleStreamModel):
        raise ConfigurationError(
            f"expected a single-stream model, to which tasks and languages are added, got {model.name}"
        )
    return model


def _stem(config: SingleStreamConfig) -> nn.Module:
    match config.sight:
        case "convolutions":
            return ConvStem((*config.stem[:-1], config.width))
        case "patches":
            return PatchStem(config.patch, config.width)
        case "regions":
            return nn.Linear(config.region_width, config.width)


def _lower_layers(config: SingleStreamConfig) -> Encoder:
    c = config
    return Encoder(c.first_joint_layer, c.width, c.heads, c.feed_forward, c.norm, c.eps, c.norms_at_cut)


def _grouped(languages: Sequence[str | None]) -> list[tuple[str | None, list[int]]]:
    """Returns the rows of each language."""
    rows: dict[str | None, list[int]] = {}
    for row, code in enumerate(languages):
        rows.setdefault(code, []).append(row)
    return list(rows.items())


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
