"""The base of all joint models: the cut, the states that are kept there, and the layers above it."""

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
    """The part of a tokenizer that measures texts."""

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Returns the number of tokens of each text, before any cut."""
        ...


@dataclass(frozen=True, kw_only=True)
class CutConfig(ABC):
    """The shape of a model at the cut and above it.

    answers: the answers that the model chooses from. languages: the languages of the model, without added ones. width,
    heads, feed_forward, norm, eps: the shape of the joint layers. kept_grid: the number of image tokens per side that
    are kept at the cut. compression: how these are made, see `nn.vision.compressor`. state_width: the number of values
    of a stored image token. embedding_dim: the length of the vectors. max_text_tokens: the length at which texts are
    cut. task_adapters: the configuration of each task's adapter in the joint layers; None for a model without adapters.
    tasks: the tasks that the weights were trained for. temperature: the temperature of the twin encoder's contrastive
    loss, from which further training starts. calibration, cosine_weight, recall_by_depth: see `Matcher`.
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
    cosine_weight: float = 0.0
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
        if not 0 <= self.cosine_weight < math.inf:
            raise ConfigurationError(f"cosine_weight must be 0 or above, not {self.cosine_weight}")
        depths = 1 + (self.joint_depth if self.task_adapters else 0)
        if len(self.recall_by_depth) > depths or not all(0 <= recall <= 100 for recall in self.recall_by_depth):
            raise ConfigurationError(
                f"recall_by_depth must be percentages of at most {depths} depths, not {self.recall_by_depth}"
            )

    @property
    @abstractmethod
    def joint_depth(self) -> int:
        """The number of joint layers."""

    @property
    def kept_states(self) -> int:
        """The number of states that are kept of a picture, which have positions of their own."""
        return self.kept_grid**2


class CutModel(Model, nn.Module, ABC):
    """A model with joint layers of this project above the cut and any reader below it.

    One stack of joint layers serves all tasks. Each task puts its own learned token in front of the states, reads its
    result at this token, and may have its own adapter in every layer.
    """

    family: ClassVar[str]
    below: ClassVar[tuple[str, ...]]
    """The names of the weights below the cut, except the compressor. `of_pictures` names those that read pictures,
    including the compressor."""
    of_pictures: ClassVar[tuple[str, ...]]
    of_texts: ClassVar[tuple[str, ...]]
    """The names of the weights that `lower_text` uses."""
    never_trained: ClassVar[tuple[str, ...]] = ()
    """The names of the weights that stay as they were published, whatever is trained."""
    of_tasks: ClassVar[tuple[str, ...]] = ("task_adapters", "embed_head", "whole_head", "match_head", "answer_head")
    """The names of the weights that a training with adapters trains; the rest is frozen."""
    adapter_field: ClassVar[str] = "task_adapters"
    """The field of the configuration for the adapters that such a training adds to a model without any."""
    embeds_below: ClassVar[bool] = False
    """Whether the vector of a picture is made from the output of `see` instead of its states."""
    trainable = True
    config: CutConfig
    tokenizer: Spelling

    def __init__(self, config: CutConfig, name: str, text_width: int, image_width: int, image_grid: int) -> None:
        """Builds an untrained model.

        text_width, image_width: the widths of the states from the lower layers. image_grid: the number of image tokens
        per side from these layers.
        """
        super().__init__()
        c = config
        self.config, self.name, self.fingerprint = config, name, "untrained"
        self.fingerprint_outside = ""  # for weights below the cut that are not the model's own
        self.compressor = compressor(c.compression, image_grid, c.kept_grid, image_width, c.state_width, c.heads)
        self.expand_text = nn.Linear(text_width, c.width)
        self.expand_image = nn.Linear(c.state_width, c.width)
        self.kept_position = nn.Parameter(torch.zeros(c.kept_states, c.width))
        self.task_token = nn.Embedding(len(TASKS), c.width)
        self.joint_layers = Encoder(c.joint_depth, c.width, c.heads, c.feed_forward, c.norm, c.eps)
        self.task_adapters = _task_adapters(c.task_adapters, c) if c.task_adapters else None
        self.match_head = nn.Linear(c.width, 1)
        self.answer_head = _answer_head(c.width, len(c.answers))

    @abstractmethod
    def in_shape(self, **changed: Any) -> Self:
        """Returns an untrained model of the same family and name.

        changed: the fields of its configuration that differ.
        """

    @abstractmethod
    def save_readers(self, folder: Path) -> None:
        """Writes the files for reading, other than the configuration and the weights."""

    # -- preparing -------------------------------------------------------------------------------------------------

    @property
    def tasks(self) -> tuple[Task, ...]:
        return self.config.tasks

    @property
    def embedding_dim(self) -> int:
        return self.config.embedding_dim

    @property
    def is_export(self) -> bool:
        """Whether the model is an export to 8-bit integers, which cannot be trained."""
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
    def cosine_weight(self) -> float:
        return self.config.cosine_weight

    @property
    def recall_by_depth(self) -> tuple[float, ...]:
        return self.config.recall_by_depth

    @property
    def device(self) -> torch.device:
        return self.kept_position.device

    @abstractmethod
    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        """Splits texts into subwords, padded to the longest text and cut at `max_text_tokens`."""

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, inputs: Sequence[Text] | Sequence[Picture]) -> TokenStates:
        texts = [one for one in inputs if isinstance(one, Text)]
        if texts:
            return self.read_text(self.tokenize([one.text for one in texts], [one.language for one in texts]))
        return self.read_images(ImageBatch.of([one for one in inputs if isinstance(one, Picture)]))

    def read_text(self, batch: TextBatch) -> TokenStates:
        """Runs the lower layers over each text."""
        return self.finish_text(self.lower_text(batch))

    @abstractmethod
    def lower_text(self, batch: TextBatch) -> TokenStates:
        """Runs the lower layers over each text, the first half of `read_text`."""

    def finish_text(self, states: TokenStates) -> TokenStates:
        """Completes the output of `lower_text`, the second half of `read_text`."""
        return states

    def read_images(self, batch: ImageBatch) -> TokenStates:
        """Runs the lower layers over each picture and compresses to `kept_states` states of `state_width` values."""
        return self.compress(self.see(batch))

    @abstractmethod
    def see(self, batch: ImageBatch) -> Float[Tensor, "batch tokens image_width"]:
        """Runs the lower layers over each picture, the first half of `read_images`. Returns all image tokens."""

    def compress(self, tokens: Float[Tensor, "batch tokens image_width"]) -> TokenStates:
        """Compresses the output of `see`, the second half of `read_images`."""
        with self._gradients():
            kept = self.compressor(tokens.to(self.kept_position.dtype))
            return TokenStates(kept, torch.ones(kept.shape[:2], dtype=torch.bool, device=kept.device), "image")

    # -- asking ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        """Returns vectors of unit length, float32."""

    def match(self, text: TokenStates, images: TokenStates, depth: int = 0) -> Float[Tensor, " pairs"]:
        with self._gradients():
            return read_off(self.match_head, self.joint("match", text, images, depth=depth)[0]).squeeze(-1)

    def answer_logits(self, text: TokenStates, images: TokenStates) -> Float[Tensor, "pairs answers"]:
        with self._gradients():
            return read_off(self.answer_head, self.joint("answer", text, images)[0])

    def joint(
        self, task: Task, *states: TokenStates, depth: int = 0
    ) -> tuple[Float[Tensor, "batch width"], Float[Tensor, "batch tokens width"]]:
        """Runs the joint layers over the task's token followed by all the states.

        depth: the number of the lowest joint layers that run without the task's adapter (AdapterDrop,
        arXiv:2010.11918).

        Returns:
            The final state of the task's token, and all states half-way up, with that token first.

        Raises:
            ConfigurationError: the model does not have this depth.
        """
        x, mask = self.join(task, *states)
        return self.joint_layers.first(x, mask, self._adaptation(task, depth, len(x)))

    def join(
        self, task: Task, *states: TokenStates
    ) -> tuple[Float[Tensor, "batch tokens width"], Bool[Tensor, "batch tokens"]]:
        """Returns the input of the joint layers, the task's token followed by all the states, and its mask."""
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
    """Applies a head in float32. The three digits of bfloat16 would make candidates tie."""
    return functional.linear(joint.float(), head.weight.float(), head.bias.float()).float()


def _answer_head(width: int, answers: int) -> nn.Linear:
    """Makes the head for answers. Without answers it is empty; torch would warn about making it directly."""
    head = nn.Linear(width, answers or 1)
    if not answers:
        head.weight, head.bias = nn.Parameter(head.weight[:0]), nn.Parameter(head.bias[:0])
    return head


def _task_adapters(shape: AdapterConfig, config: CutConfig) -> TrainableAdapters:
    return TrainableAdapters({task: Adapter(shape, config.width, config.joint_depth) for task in TASKS})
