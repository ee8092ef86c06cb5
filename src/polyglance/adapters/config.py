"""What an adapter is: one dataclass that names every choice."""

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
    """The shape of an adapter: what is added to a layer is scaling * (up @ activation(down @ input + bias) + bias).

    placement: what the bottleneck reads. `pfeiffer` (arXiv:2005.00247): the normed sum behind the feed-forward;
    `houlsby` (arXiv:1902.00751): what attention, and again what the feed-forward put out, before their residual;
    `parallel` (arXiv:2110.04366): what the feed-forward reads.
    reduction_factor: width / bottleneck. depth: the layers below this one have no weights (AdapterDrop,
    arXiv:2010.11918). shared: all layers use the same weights. modality: only these tokens are adapted.
    invertible: an additive coupling at the embeddings as well (MAD-X, arXiv:2005.00052).
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
        """The inverse of `to_dict`, for settings that may hold anything.

        Raises ConfigurationError for a key that is none of the fields, and for a value that a field cannot have.
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
        return asdict(self)

    @property
    def places(self) -> tuple[Place, ...]:
        """Where in a layer it acts."""
        return PLACES[self.placement]

    def bottleneck(self, width: int) -> int:
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
