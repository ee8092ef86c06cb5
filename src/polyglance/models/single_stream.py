"""The single-stream joint model: one encoder for both modalities, cut at `first_joint_layer`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from polyglance.adapters.composition import Drop
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.modules import Adapter
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.data.tokenization import Tokenizer
from polyglance.errors import ConfigurationError
from polyglance.models.languages import Language
from polyglance.models.protocol import ImageBatch, TextBatch
from polyglance.nn.encoder import Encoder, unit
from polyglance.nn.layer import NormPlacement
from polyglance.nn.states import TokenStates
from polyglance.nn.token_head import TokenHead
from polyglance.nn.vision import Compression, ConvStem, compressor

Task = Literal["embed", "match", "answer"]
TASKS: tuple[Task, ...] = ("embed", "match", "answer")


@dataclass(frozen=True)
class SingleStreamConfig:
    """The shape of a `SingleStreamModel`.

    layers: all of them; the first `first_joint_layer` read one modality alone. kept_grid: image tokens a side that are
    kept at the cut, and compression how they are made (see `nn.vision.compressor`). state_width: values a stored image
    token. stem: channels of the convolutions over the pixels.
    task_adapters: the shape of an adapter for each task in the joint layers; None for a model without any.
    predicts_tokens: whether there is a head that masked-language modelling has trained.
    temperature: of the contrast that the twin encoder was trained by, where further training begins.
    calibration: slope and offset that make log-odds of a match's logit. recall_by_depth: see `JointModel`.
    """

    vocabulary: int
    answers: tuple[str, ...]
    languages: tuple[str, ...]
    width: int = 192
    heads: int = 6
    feed_forward: int = 768
    layers: int = 7
    first_joint_layer: int = 3
    norm: NormPlacement = "pre"
    stem: tuple[int, ...] = (48, 96, 192, 192)
    image_size: int = 256
    kept_grid: int = 4
    compression: Compression = "merge"
    state_width: int = 128
    embedding_dim: int = 192
    max_text_tokens: int = 64
    task_adapters: AdapterConfig | None = None
    predicts_tokens: bool = False
    temperature: float = 0.07
    calibration: tuple[float, float] = (1.0, 0.0)
    recall_by_depth: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.first_joint_layer < self.layers:
            raise ConfigurationError(
                f"first_joint_layer must lie between 1 and layers - 1 = {self.layers - 1}, not {self.first_joint_layer}"
            )
        if self.width % self.heads:
            raise ConfigurationError(f"width {self.width} is not a multiple of heads {self.heads}")

        if not self.temperature > 0:
            raise ConfigurationError(f"temperature must be above 0, not {self.temperature}")
        slope, offset = self.calibration
        if not (0 < slope < math.inf and math.isfinite(offset)):
            raise ConfigurationError(f"calibration must be a slope above 0 and an offset, not {self.calibration}")
        depths = 1 + (self.layers - self.first_joint_layer if self.task_adapters else 0)
        if len(self.recall_by_depth) > depths or not all(0 <= recall <= 100 for recall in self.recall_by_depth):
            raise ConfigurationError(
                f"recall_by_depth must be percentages of at most {depths} depths, not {self.recall_by_depth}"
            )

    @property
    def image_grid(self) -> int:
        """Image tokens a side before compression."""
        stride: int = 4 * 2 ** (len(self.stem) - 1)
        return self.image_size // stride


class SingleStreamModel(nn.Module):
    """A `JointModel`: text and picture are read apart by the lower layers and joined by the upper ones.

    Below the cut each modality has layers of its own (the modality experts of VLMo, arXiv:2111.02358, taken whole),
    so that the picture side can be trained first and its states kept. Above it, one stack serves all three tasks: each
    puts its own learned token in front, reads its result there, and has an adapter of its own in every layer.
    """

    def __init__(self, config: SingleStreamConfig, tokenizer: Tokenizer, name: str = "untrained") -> None:
        super().__init__()
        c = config
        self.config, self.tokenizer, self.name, self.fingerprint = config, tokenizer, name, "untrained"
        self.token_embedding = nn.Embedding(c.vocabulary, c.width)
        self.text_position = nn.Embedding(c.max_text_tokens, c.width)
        self.text_layers = Encoder(c.first_joint_layer, c.width, c.heads, c.feed_forward, c.norm)

        self.stem = ConvStem((*c.stem[:-1], c.width))
        self.image_position = nn.Parameter(torch.zeros(c.image_grid**2, c.width))
        self.image_layers = Encoder(c.first_joint_layer, c.width, c.heads, c.feed_forward, c.norm)
        self.compressor = compressor(c.compression, c.image_grid, c.kept_grid, c.width, c.state_width, c.heads)

        self.expand_text = nn.Linear(c.width, c.width)
        self.expand_image = nn.Linear(c.state_width, c.width)
        self.kept_position = nn.Parameter(torch.zeros(c.kept_grid**2, c.width))
        self.task_token = nn.Embedding(len(TASKS), c.width)
        self.joint_layers = Encoder(c.layers - c.first_joint_layer, c.width, c.heads, c.feed_forward, c.norm)
        self.task_adapters = _task_adapters(c.task_adapters, c) if c.task_adapters else None
        self.embed_head = nn.Linear(c.width, c.embedding_dim)
        self.match_head = nn.Linear(c.width, 1)
        self.answer_head = nn.Linear(c.width, len(c.answers))
        self.token_head = TokenHead(c.width, c.vocabulary) if c.predicts_tokens else None
        self._added: dict[str, Language] = {}
        self.apply(_initialise)
        for position in (self.image_position, self.kept_position):
            nn.init.normal_(position, std=0.02)

    # -- preparing -------------------------------------------------------------------------------------------------

    @property
    def embedding_dim(self) -> int:
        return self.config.embedding_dim

    @property
    def answers(self) -> tuple[str, ...]:
        return self.config.answers

    @property
    def languages(self) -> tuple[str, ...]:
        """Those that it began with, and those that were added."""
        return tuple(dict.fromkeys((*self.config.languages, *self._added)))

    @property
    def calibration(self) -> tuple[float, float]:
        return self.config.calibration

    @property
    def recall_by_depth(self) -> tuple[float, ...]:
        return self.config.recall_by_depth

    @property
    def device(self) -> torch.device:
        return self.kept_position.device

    def add_language(self, language: Language) -> None:
        """Texts in this language are from now on read with its subwords and its adapter. Its weights are no part of the
        model's, and take on the device and the precision that the model has now.

        Raises ConfigurationError for one of another width or number of text layers.
        """
        body = (self.config.width, self.config.first_joint_layer)
        adapter = language.adapter
        if adapter and (adapter.width, adapter.layers) != body:
            raise ConfigurationError(
                f"expected a language for {body[1]} text layers of width {body[0]}, "
                f"got {language.code!r} for {adapter.layers} of width {adapter.width}"
            )
        self._added[language.code] = language.to(self.device, self.kept_position.dtype)

    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        """Padded to the longest text; a text over `max_text_tokens` is cut there."""
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
        """One RGB picture -> (3, image_size, image_size) uint8: scaled to fit, centred on white."""
        side = self.config.image_size
        scale = side / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        canvas = Image.new("RGB", (side, side), "white")
        canvas.paste(
            image if image.size == size else image.resize(size, Image.Resampling.BICUBIC),
            ((side - size[0]) // 2, (side - size[1]) // 2),
        )
        return np.asarray(canvas).transpose(2, 0, 1).copy()

    # -- reading ---------------------------------------------------------------------------------------------------

    def read_text(self, batch: TextBatch) -> TokenStates:
        """Lower layers over each text alone; states of `width` values."""
        with self._gradients():
            positions = torch.arange(batch.ids.shape[1], device=batch.ids.device)
            x = self._embedded(batch) + self.text_position(positions)
            return TokenStates(self.text_layers(x, batch.mask, self._language(batch)), batch.mask, "text")

    def _embedded(self, batch: TextBatch) -> Float[Tensor, "batch tokens width"]:
        """The embeddings of each text's own language."""
        groups = _grouped(batch.languages or (None,))
        if len(groups) == 1:
            return functional.embedding(batch.ids, self.embeddings(groups[0][0]))
        parts = [(rows, functional.embedding(batch.ids[rows], self.embeddings(code))) for code, rows in groups]
        order = torch.tensor([row for rows, _ in parts for row in rows], device=batch.ids.device)
        return torch.cat([part for _, part in parts])[order.argsort()]

    def embeddings(self, language: str | None = None) -> Float[Tensor, "vocabulary width"]:
        """Of the subwords of an added language, or of the model's own."""
        own = self._added[language].embedding if language else None
        return self.token_embedding.weight if own is None else own.weight

    def _language(self, batch: TextBatch) -> Adaptation | None:
        """The adapters of the texts' languages."""
        languages = batch.languages or ()
        adapters = {code: a for code in dict.fromkeys(languages) if code and (a := self._added[code].adapter)}
        if not adapters:
            return None
        return Adaptation(TrainableAdapters(adapters), [code if code in adapters else None for code in languages])

    def predict_tokens(
        self, batch: TextBatch, places: Bool[Tensor, "batch tokens"]
    ) -> dict[str | None, Float[Tensor, "places vocabulary"]]:
        """All layers over each text alone: logits of the token in the places, row by row, of the texts of a language.

        Each language has its own subwords, its own head and the inverse of its own invertible adapter (MAD-X,
        arXiv:2005.00052, section 2.2.3). Raises ConfigurationError where there is no head.
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
        """Lower layers over each picture alone, compressed; `kept_grid`² states of `state_width` values."""
        return self.compress(self.see(batch))

    def see(self, batch: ImageBatch) -> Float[Tensor, "batch tokens width"]:
        """The first half of `read_images`: lower layers over each picture alone; all `image_grid`² tokens."""
        with self._gradients():
            x = self.stem(batch.pixels.to(self.device)) + self.image_position
            tokens: Tensor = self.image_layers(x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device))
            return tokens

    def compress(self, tokens: Float[Tensor, "batch tokens width"]) -> TokenStates:
        """The second half of `read_images`, from what `see` gave."""
        with self._gradients():
            kept = self.compressor(tokens.to(self.kept_position.dtype))
            return TokenStates(kept, torch.ones(kept.shape[:2], dtype=torch.bool, device=kept.device), "image")

    # -- asking ----------------------------------------------------------------------------------------------------

    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        with self._gradients():
            return unit(_read_off(self.embed_head, self.joint("embed", states)[0]))

    def match(self, text: TokenStates, images: TokenStates, depth: int = 0) -> Float[Tensor, " pairs"]:
        with self._gradients():
            return _read_off(self.match_head, self.joint("match", text, images, depth=depth)[0]).squeeze(-1)

    def answer(self, text: TokenStates, images: TokenStates) -> Float[Tensor, "pairs answers"]:
        with self._gradients():
            return _read_off(self.answer_head, self.joint("answer", text, images)[0])

    def joint(
        self, task: Task, *states: TokenStates, depth: int = 0
    ) -> tuple[Float[Tensor, "batch width"], Float[Tensor, "batch tokens width"]]:
        """The upper layers over the task's token and all the states side by side.

        depth: of them, how many of the lowest run without the task's adapter (AdapterDrop, arXiv:2010.11918).
        (what the task's token holds in the end; all states half-way up, that token's first).
        Raises ConfigurationError for a depth that the model does not have.
        """
        x, mask = self.join(task, *states)
        return self.joint_layers.first(x, mask, self._adaptation(task, depth, len(x)))

    def join(
        self, task: Task, *states: TokenStates
    ) -> tuple[Float[Tensor, "batch tokens width"], Bool[Tensor, "batch tokens"]]:
        """(what the upper layers read: the task's token and all the states side by side; where it is no padding)."""
        parts = [self._expand(s) for s in states]
        rows = len(states[0])
        token = self.task_token.weight[TASKS.index(task)].expand(rows, 1, -1)
        mask = torch.cat([torch.ones(rows, 1, dtype=torch.bool, device=token.device), *(s.mask for s in states)], dim=1)
        return torch.cat([token.to(parts[0].dtype), *parts], dim=1), mask

    def _adaptation(self, task: Task, depth: int, rows: int) -> Adaptation | None:
        if self.task_adapters:
            return Adaptation(self.task_adapters, [Drop(task, depth) if depth else task] * rows)
        if depth:
            raise ConfigurationError(f"expected a depth of 0 for a model without task adapters, got {depth}")
        return None

    def _expand(self, states: TokenStates) -> Float[Tensor, "batch tokens width"]:
        if states.modality == "text":
            text: Tensor = self.expand_text(states.hidden.to(self.expand_text.weight.dtype))
            return text
        image: Tensor = self.expand_image(states.hidden.to(self.expand_image.weight.dtype))
        return image + self.kept_position[: states.hidden.shape[1]]

    def _gradients(self) -> torch.autograd.grad_mode.set_grad_enabled:
        return torch.set_grad_enabled(self.training and torch.is_grad_enabled())


def _grouped(languages: Sequence[str | None]) -> list[tuple[str | None, list[int]]]:
    """The rows of each language."""
    rows: dict[str | None, list[int]] = {}
    for row, code in enumerate(languages):
        rows.setdefault(code, []).append(row)
    return list(rows.items())


def _task_adapters(shape: AdapterConfig, config: SingleStreamConfig) -> TrainableAdapters:
    layers = config.layers - config.first_joint_layer
    return TrainableAdapters({task: Adapter(shape, config.width, layers) for task in TASKS})


def _read_off(head: nn.Linear, joint: Float[Tensor, "batch width"]) -> Float[Tensor, "batch results"]:
    """The head in float32: of three digits, as bfloat16 has, candidates would tie."""
    return functional.linear(joint.float(), head.weight.float(), head.bias.float()).float()


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
