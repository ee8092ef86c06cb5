"""The configuration of an adapter."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, Self, get_args

from polyglance.errors import ConfigurationError
from polyglance.kernels.linear import Activation
from polyglance.types import Modality

Placement = Literal["pfeiffer", "houlsby", "parallel"]
Place = Literal["attention", "feed_forward"]

PLACES: dict[Placement, tuple[Place, ...]] = {
    "pfeiffer": ("feed_forward",),
    "houlsby": ("attention", "feed_forward"),
    "parallel": ("feed_forward",),
}


@dataclass(frozen=True)
class AdapterConfig:
    """The configuration of a bottleneck adapter, which adds scaling * (up @ activation(down @ input + bias) + bias).

    placement: the input of the bottleneck. `pfeiffer` (arXiv:2005.00247): the normed sum after the feed-forward;
    `houlsby` (arXiv:1902.00751): the outputs of attention and of the feed-forward, before their residuals;
    `parallel` (arXiv:2110.04366): the input of the feed-forward.
    reduction_factor: width / bottleneck. activation: between the two projections. scaling: the factor of the output.
    depth: the first layer with weights (AdapterDrop, arXiv:2010.11918). shared: whether all layers use the same
    weights. modality: the kind of tokens that are adapted; None adapts all. invertible: whether there is an additive
    coupling at the embeddings as well (MAD-X, arXiv:2005.00052).

    Raises ConfigurationError if `reduction_factor` is not a finite number above 0, `scaling` is not finite or `depth`
    is negative.
    """

    placement: Placement = "pfeiffer"
    reduction_factor: float = 16
    activation: Activation = "relu"
    scaling: float = 1.0
    depth: int = 0
    shared: bool = False
    modality: Modality | None = None
    invertible: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.reduction_factor < math.inf:
            raise ConfigurationError(f"expected a reduction_factor above 0, got {self.reduction_factor}")
        if not math.isfinite(self.scaling):
            raise ConfigurationError(f"expected a number as scaling, got {self.scaling}")
        if self.depth < 0:
            raise ConfigurationError(f"expected a depth of 0 or more, got {self.depth}")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Makes a configuration from what `to_dict` returned; the settings may come from a file.

        Raises ConfigurationError for an unknown key, or a value that its field cannot have.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(settings) - set(known)):
            raise ConfigurationError(f"an adapter has no setting {unknown[0]!r}; known are {', '.join(known)}")
        for name, value in settings.items():
            if name in _CHOICES and value not in _CHOICES[name]:
                choices = ", ".join(map(repr, _CHOICES[name]))
                raise ConfigurationError(f"expected {name} to be one of {choices}, got {value!r}")
            if name in _NUMBERS and (isinstance(value, bool) or not isinstance(value, _NUMBERS[name])):
                raise ConfigurationError(f"expected a number as {name}, got {value!r}")
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """The settings by name, as JSON can hold them."""
        return asdict(self)

    @property
    def places(self) -> tuple[Place, ...]:
        """The places in a layer where the adapter acts."""
        return PLACES[self.placement]

    def bottleneck(self, width: int) -> int:
        """The bottleneck's width in layers of the given width, 1 or more."""
        return max(1, int(width // self.reduction_factor))


_CHOICES: Final[dict[str, tuple[object, ...]]] = {
    "placement": get_args(Placement),
    "activation": get_args(Activation),
    "modality": (*get_args(Modality), None),
    "shared": (True, False),
    "invertible": (True, False),
}
_NUMBERS: Final[dict[str, type | tuple[type, ...]]] = {
    "reduction_factor": (int, float),
    "scaling": (int, float),
    "depth": int,
}
