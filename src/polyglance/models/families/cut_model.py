"""What the families of joint models have in common: the cut, what is kept there, and the layers above it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from polyglance.adapters.composition import Drop
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.modules import Adapter
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.errors import ConfigurationError
from polyglance.models.model import Model
from polyglance.models.protocol import ImageBatch, Picture, TextBatch
from polyglance.nn.encoder import Encoder
from polyglance.nn.layer import NormPlacement
from polyglance.nn.states import TokenStates
from polyglance.nn.vision import Compression, compressor
from polyglance.types import Task, Text

TASKS: tuple[Task, ...] = get_args(Task)


def in_order(tasks: Collection[Task]) -> tuple[Task, ...]:
    return tuple(task for task in TASKS if task in tasks)


class Spelling(Protocol):
    """What a model's tokenizer tells of texts."""

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, uncut."""
        ...


@dataclass(frozen=True, kw_only=True)
class CutConfig(ABC):
    """The shape of a model at the cut and above it.

    languages: that it began with. width, heads, feed_forward, norm, eps: of the joint layers. kept_grid: image tokens a
    side that are kept at the cut, and compression how they are made (see `nn.vision.compressor`). state_width: values
    a stored image token.
    task_adapters: the shape of an adapter for each task in the joint layers; None for a model without any.
    tasks: for which the weights were trained.
    temperature: of the contrast that the twin encoder was trained by, where further training begins.
    calibration: slope and offset that make log-odds of a match's logit. recall_by_depth: see `Matcher`.
    """

    answers: tuple[str, ...]
    languages: tuple[str, ...]
    width: int = 192
    heads: int = 6
    feed_forward: int = 768
    norm: NormPlacement = "pre"
    eps: float = 1e-5
    kept_grid: int = 4
    compression: Compression = "merge"
    state_width: int = 128
    embedding_dim: int = 192
    max_text_tokens: int = 64
    task_adapters: AdapterConfig | None = None
    tasks: tuple[Task, ...] = TASKS
    temperature: float = 0.07
    calibration: tuple[float, float] = (1.0, 0.0)
    recall_by_depth: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigurationError(f"width {self.width} is not a multiple of heads {self.heads}")
        if unknown := [task for task in self.tasks if task not in TASKS]:
            raise ConfigurationError(f"expected tasks of {', '.join(TASKS)}, got {unknown[0]!r}")
        if not self.temperature > 0:
            raise ConfigurationError(f"temperature must be above 0, not {self.temperature}")
        slope, offset = self.calibration
        if not (0 < slope < math.inf and math.isfinite(offset)):
            raise ConfigurationError(f"calibration must be a slope above 0 and an offset, not {self.calibration}")
        depths = 1 + (self.joint_depth if self.task_adapters else 0)
        if len(self.recall_by_depth) > depths or not all(0 <= recall <= 100 for recall in self.recall_by_depth):
            raise ConfigurationError(
                f"recall_by_depth must be percentages of at most {depths} depths, not {self.recall_by_depth}"
            )

    @property
    @abstractmethod
    def joint_depth(self) -> int:
        """How many joint layers there are."""


class CutModel(Model, nn.Module, ABC):
    """A model whose joint layers are ours, whatever reads below the cut.

    Above the cut one stack serves all tasks: each puts its own learned token in front, reads its result there, and may
    have an adapter of its own in every layer.
    """

    family: ClassVar[str]
    below: ClassVar[tuple[str, ...]]
    """What the weights below the cut are called, but for the compressor; all that reads pictures among them is in
    `of_pictures`, the compressor as well."""
    of_pictures: ClassVar[tuple[str, ...]]
    of_tasks: ClassVar[tuple[str, ...]] = ("task_adapters", "embed_head", "match_head", "answer_head")
    """What a training with adapters trains, beside a frozen body."""
    adapter_field: ClassVar[str] = "task_adapters"
    """Which field of the configuration is the shape of the adapters that such a training adds where there are none."""
    embeds_below: ClassVar[bool] = False
    """Whether a picture's vector is made of what `see` gives, and not of its states."""
    trainable = True
    config: CutConfig
    tokenizer: Spelling

    def __init__(self, config: CutConfig, name: str, text_width: int, image_width: int, image_grid: int) -> None:
        """text_width, image_width: of what the lower layers give. image_grid: image tokens a side that they give."""
        super().__init__()
        c = config
        self.config, self.name, self.fingerprint = config, name, "untrained"
        self.fingerprint_outside = ""  # of weights that act below the cut and are none of the model's own
        self.compressor = compressor(c.compression, image_grid, c.kept_grid, image_width, c.state_width, c.heads)
        self.expand_text = nn.Linear(text_width, c.width)
        self.expand_image = nn.Linear(c.state_width, c.width)
        self.kept_position = nn.Parameter(torch.zeros(c.kept_grid**2, c.width))
        self.task_token = nn.Embedding(len(TASKS), c.width)
        self.joint_layers = Encoder(c.joint_depth, c.width, c.heads, c.feed_forward, c.norm, c.eps)
        self.task_adapters = _task_adapters(c.task_adapters, c) if c.task_adapters else None
        self.match_head = nn.Linear(c.width, 1)
        self.answer_head = _answer_head(c.width, len(c.answers))

    @abstractmethod
    def in_shape(self, **changed: Any) -> Self:
        """An untrained model of the same kind and name; changed: fields of its configuration."""

    @abstractmethod
    def save_readers(self, folder: Path) -> None:
        """Writes what reading takes beside the configuration and the weights."""

    # -- preparing -------------------------------------------------------------------------------------------------

    @property
    def tasks(self) -> tuple[Task, ...]:
        return self.config.tasks

    @property
    def embedding_dim(self) -> int:
        return self.config.embedding_dim

    @property
    def is_export(self) -> bool:
        """Whether it is another model in 8-bit integers, which cannot be trained."""
        return False

    @property
    def answers(self) -> tuple[str, ...]:
        return self.config.answers

    @property
    def languages(self) -> tuple[str, ...]:
        return self.config.languages

    @property
    def calibration(self) -> tuple[float, float]:
        return self.config.calibration

    @property
    def recall_by_depth(self) -> tuple[float, ...]:
        return self.config.recall_by_depth

    @property
    def device(self) -> torch.device:
        return self.kept_position.device

    @abstractmethod
    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        """Padded to the longest text; a text over `max_text_tokens` is cut there."""

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, inputs: Sequence[Text] | Sequence[Picture]) -> TokenStates:
        texts = [one for one in inputs if isinstance(one, Text)]
        if texts:
            return self.read_text(self.tokenize([one.text for one in texts], [one.language for one in texts]))
        return self.read_images(ImageBatch.of([one for one in inputs if isinstance(one, Picture)]))

    @abstractmethod
    def read_text(self, batch: TextBatch) -> TokenStates:
        """Lower layers over each text alone."""

    def read_images(self, batch: ImageBatch) -> TokenStates:
        """Lower layers over each picture alone, compressed; `kept_grid`² states of `state_width` values."""
        return self.compress(self.see(batch))

    @abstractmethod
    def see(self, batch: ImageBatch) -> Float[Tensor, "batch tokens image_width"]:
        """The first half of `read_images`: lower layers over each picture alone; all image tokens."""

    def compress(self, tokens: Float[Tensor, "batch tokens image_width"]) -> TokenStates:
        """The second half of `read_images`, from what `see` gave."""
        with self._gradients():
            kept = self.compressor(tokens.to(self.kept_position.dtype))
            return TokenStates(kept, torch.ones(kept.shape[:2], dtype=torch.bool, device=kept.device), "image")

    # -- asking ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        """Vectors of unit length, float32."""

    def match(self, text: TokenStates, images: TokenStates, depth: int = 0) -> Float[Tensor, " pairs"]:
        with self._gradients():
            return read_off(self.match_head, self.joint("match", text, images, depth=depth)[0]).squeeze(-1)

    def answer_logits(self, text: TokenStates, images: TokenStates) -> Float[Tensor, "pairs answers"]:
        with self._gradients():
            return read_off(self.answer_head, self.joint("answer", text, images)[0])

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


def read_off(head: nn.Linear, joint: Float[Tensor, "batch width"]) -> Float[Tensor, "batch results"]:
    """The head in float32: of three digits, as bfloat16 has, candidates would tie."""
    return functional.linear(joint.float(), head.weight.float(), head.bias.float()).float()


def _answer_head(width: int, answers: int) -> nn.Linear:
    """A model may know no answers yet, of which torch warns."""
    head = nn.Linear(width, answers or 1)
    if not answers:
        head.weight, head.bias = nn.Parameter(head.weight[:0]), nn.Parameter(head.bias[:0])
    return head


def _task_adapters(shape: AdapterConfig, config: CutConfig) -> TrainableAdapters:
    return TrainableAdapters({task: Adapter(shape, config.width, config.joint_depth) for task in TASKS})
