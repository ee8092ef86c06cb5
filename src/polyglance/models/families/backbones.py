"""Published image networks that give a picture one token per cell of a feature map or per patch."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from polyglance.errors import CheckpointError, ConfigurationError, reason_of
from polyglance.models.families.tower_layers import use_kernels
from polyglance.models.huggingface.components import Pixels, load_network
from polyglance.models.huggingface.download import DESCRIPTION, read_json, read_weights
from polyglance.nn.efficientnet import SCALES, EfficientNetLite

_OF_TIMM: Final = "architecture"
"""The field of `config.json` that the folders of timm have instead of `model_type`."""
_SOME_NAME: Final = "LABEL_0"
"""What transformers calls the first class of a classifier without names."""


class Backbone(nn.Module, ABC):
    """A published image network with its preprocessor.

    network: the network. pixels: the preprocessor, which makes square pictures of one size. width: of a token. first:
    the number of tokens in front that stand for the whole picture. grid: the number of tokens per side after these.
    layers: the layers after which an adapter can act: those of a transformer without stages; else empty. head: the
    classifier, whose input is `summary`; None if there is none. class_names: the names of its classes, such as "tabby,
    tabby cat"; empty if they are unknown.
    """

    network: Any
    first: int = 0
    layers: tuple[nn.Module, ...] = ()

    def __init__(
        self, network: nn.Module, pixels: Pixels, head: nn.Linear | None, class_names: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.network, self.pixels, self.head = network, pixels, head
        named = head is not None and len(class_names) == head.out_features and class_names[0] != _SOME_NAME
        self.class_names = class_names if named else ()

    def measure(self) -> None:
        """Reads a blank picture to find `width` and `grid`.

        Raises:
            CheckpointError: pictures do not come in one square size, or tokens are not those of a square grid.
        """
        wide, high = (self.pixels.fit(Image.new("RGB", size)).shape for size in ((61, 40), (40, 61)))
        if wide != high or wide[1] != wide[2]:
            raise CheckpointError(
                f"expected a preprocessor that makes square pictures of one size, got {wide[2]} x {wide[1]} and "
                f"{high[2]} x {high[1]} from a wide and a high one"
            )
        weight = next(self.network.parameters())
        with torch.inference_mode():
            tokens = self(torch.zeros(1, *wide, dtype=weight.dtype, device=weight.device))
        self.width = tokens.shape[2]
        self.grid = math.isqrt(cells := tokens.shape[1] - self.first)
        if self.grid**2 != cells:
            raise CheckpointError(f"expected the tokens of a square grid, got {cells} for a square picture")

    @abstractmethod
    def forward(self, values: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch seen image_width"]:
        """Returns the tokens of normalised pictures."""

    @abstractmethod
    def summary(self, tokens: Float[Tensor, "batch seen image_width"]) -> Float[Tensor, "batch summary_width"]:
        """Returns what the network's classifier reads of a picture, from the output of `forward`."""


# -- transformers ------------------------------------------------------------------------------------------------------


def _mean(network: Any, tokens: Tensor) -> Tensor:
    return tokens.mean(dim=1)


def _normed_mean(network: Any, tokens: Tensor) -> Tensor:
    normed: Tensor = network.layernorm(tokens.mean(dim=1))
    return normed


def _first(network: Any, tokens: Tensor) -> Tensor:
    return tokens[:, 0]


def _first_and_mean(network: Any, tokens: Tensor, first: int = 1) -> Tensor:
    return torch.cat([tokens[:, 0], tokens[:, first:].mean(dim=1)], dim=1)


@dataclass(frozen=True)
class _Kind:
    """How an architecture of transformers differs from the others.

    name: the beginning of its classes' names. summary: what its classifier reads of the tokens. first: see `Backbone`;
    registers: the field of its configuration that counts further ones. plain: whether its layers are all alike.
    """

    name: str
    summary: Callable[[Any, Tensor], Tensor]
    first: int = 0
    registers: str = ""
    plain: bool = False


_KINDS: Final[Mapping[str, _Kind]] = {
    "vit": _Kind("ViT", _first, 1, plain=True),  # arXiv:2010.11929
    "dinov2": _Kind("Dinov2", _first_and_mean, 1, plain=True),  # arXiv:2304.07193
    "dinov2_with_registers": _Kind(  # arXiv:2309.16588
        "Dinov2WithRegisters", _first_and_mean, 1, "num_register_tokens", plain=True
    ),
    "convnext": _Kind("ConvNext", _normed_mean),  # arXiv:2201.03545
    "convnextv2": _Kind("ConvNextV2", _normed_mean),  # arXiv:2301.00808
    "swin": _Kind("Swin", _mean),  # arXiv:2103.14030
}
"""The architectures by the model_type in config.json."""


class PublishedBackbone(Backbone):
    """A vision network of transformers: ViT, DINOv2, ConvNeXt or Swin, with or without a classifier."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        import transformers

        settings = read_json(folder, DESCRIPTION)
        kind = _KINDS[settings["model_type"]]
        classifies = any(str(name).endswith("ForImageClassification") for name in settings.get("architectures") or ())
        whole = load_network(
            getattr(transformers, f"{kind.name}{'ForImageClassification' if classifies else 'Model'}"), folder, dtype
        )
        body = whole.base_model
        names = tuple(name for _, name in sorted(whole.config.id2label.items())) if classifies else ()
        head = whole.classifier if classifies and isinstance(whole.classifier, nn.Linear) else None
        super().__init__(body, Pixels(folder), head, names)
        if kind.plain:  # others add to the scores of attention
            use_kernels(body, body)
        self.first = kind.first + (getattr(whole.config, kind.registers) if kind.registers else 0)
        if kind.plain:
            self.layers = tuple(next(module for module in body.modules() if isinstance(module, nn.ModuleList)))
        self._summary = partial(kind.summary, first=self.first) if kind.summary is _first_and_mean else kind.summary
        self.measure()

    def forward(self, values: Tensor) -> Tensor:
        states: Tensor = self.network(pixel_values=values).last_hidden_state
        return states.flatten(2).transpose(1, 2) if states.ndim == 4 else states

    def summary(self, tokens: Tensor) -> Tensor:
        return self._summary(self.network, tokens)


# -- timm --------------------------------------------------------------------------------------------------------------


class TimmPixels(Pixels):
    """The preprocessor that a folder of timm describes: scale, crop the centre, normalise."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        from transformers import CLIPImageProcessorPil

        try:
            _, high, wide = settings["input_size"]
            scaled = math.floor(high / settings.get("crop_pct", 0.875))
            self._processor = CLIPImageProcessorPil(
                size={"shortest_edge": scaled},
                crop_size={"height": high, "width": wide},
                resample=Image.Resampling[settings.get("interpolation", "bicubic").upper()],
                image_mean=settings["mean"],
                image_std=settings["std"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{folder / DESCRIPTION}: expected input_size, mean and std in its pretrained_cfg: {reason_of(error)}"
            ) from error
        if settings.get("crop_mode", "center") != "center":
            raise CheckpointError(f"{folder / DESCRIPTION}: expected crop_mode center, got {settings['crop_mode']!r}")


class TimmBackbone(Backbone):
    """An image network of timm, from a folder as timm writes it for the hub.

    EfficientNet-Lite is this package's own; any other needs `pip install 'polyglance[timm]'`.
    """

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        settings = read_json(folder, DESCRIPTION)
        network: Any = _of_timm(str(settings[_OF_TIMM]), int(settings.get("num_classes", 1000)))
        try:
            network.load_state_dict(read_weights(folder))
        except RuntimeError as error:
            raise CheckpointError(
                f"{folder}: the weights do not fit {settings[_OF_TIMM]}: {str(error).splitlines()[-1].strip()}; get "
                "the files again"
            ) from error
        network.eval()
        if isinstance(network, EfficientNetLite):
            network.fold_norms()
        network = network.to(dtype)
        names = tuple(settings.get("label_names") or ())
        head = network.classifier if isinstance(network, EfficientNetLite) else network.get_classifier()
        pixels = TimmPixels(folder, settings.get("pretrained_cfg") or {})
        super().__init__(network, pixels, head if isinstance(head, nn.Linear) else None, names)
        self._shape = torch.Size()
        self.first = getattr(network, "num_prefix_tokens", 0)
        self.measure()

    def forward(self, values: Tensor) -> Tensor:
        if isinstance(self.network, EfficientNetLite):
            lite: Tensor = self.network.features(values)
            return lite.flatten(2).transpose(1, 2)
        states: Tensor = self.network.forward_features(values)
        self._shape = states.shape[1:]
        if states.ndim == 3:
            return states
        return states.flatten(1, 2) if self._channels_last else states.flatten(2).transpose(1, 2)

    def summary(self, tokens: Tensor) -> Tensor:
        if isinstance(self.network, EfficientNetLite):
            return tokens.mean(dim=1)
        if len(self._shape) == 2:
            states = tokens
        elif self._channels_last:
            states = tokens.unflatten(1, self._shape[:2])
        else:
            states = tokens.transpose(1, 2).unflatten(2, self._shape[1:])
        read: Tensor = self.network.forward_head(states, pre_logits=True)
        return read

    @property
    def _channels_last(self) -> bool:
        """Whether the network's feature map is (height, width, channels)."""
        width: int = self.network.num_features
        return len(self._shape) == 3 and self._shape[2] == width != self._shape[0]


def _of_timm(architecture: str, classes: int) -> Any:
    """Makes a network of timm without weights."""
    if architecture in SCALES:
        return EfficientNetLite(*SCALES[architecture], classes)
    try:
        import timm
    except ImportError as error:
        raise ConfigurationError(
            f"{architecture} is a network of timm, which is not installed: pip install 'polyglance[timm]'"
        ) from error
    try:
        return timm.create_model(architecture, pretrained=False, num_classes=classes)
    except RuntimeError as error:
        raise CheckpointError(f"timm has no network {architecture!r}: {reason_of(error)}") from error


def load_backbone(folder: Path, dtype: torch.dtype) -> Backbone:
    """Loads an image network from a folder in the hub's layout.

    dtype: the dtype of weights and products.

    Raises:
        CheckpointError: the network is of another kind, or files are missing, torn, or do not fit each other.
        ConfigurationError: the network is one of timm, which is not installed.
    """
    settings = read_json(folder, DESCRIPTION)
    if _OF_TIMM in settings and "model_type" not in settings:
        return TimmBackbone(folder, dtype)
    if (kind := settings.get("model_type")) not in _KINDS:
        raise CheckpointError(
            f"{folder} holds no image network that can be composed: expected {', '.join(_KINDS)} or a folder of timm, "
            f"got {kind!r}"
        )
    return PublishedBackbone(folder, dtype)
