"""Where the weights of adapters come from: what a bank and adapters in training have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from polyglance.adapters.composition import Fusion
from polyglance.adapters.config import AdapterConfig, Place, Placement
from polyglance.adapters.modules import AdditiveCoupling
from polyglance.errors import ConfigurationError
from polyglance.kernels.grouped import Bottlenecks
from polyglance.kernels.linear import Activation


@dataclass(frozen=True)
class AdapterShape:
    """What adapters have in common whose weights stand in one table, so that one grouped product serves them all."""

    placement: Placement
    activation: Activation
    bottleneck: int

    @classmethod
    def of(cls, config: AdapterConfig, width: int) -> "AdapterShape":
        return cls(config.placement, config.activation, config.bottleneck(width))


class AdapterSource(Protocol):
    """Adapters of one body by name. A name that it lacks raises ConfigurationError."""

    width: int
    layers: int

    def config(self, name: str) -> AdapterConfig: ...

    def slots(self, names: Sequence[str]) -> dict[str, int]:
        """Where the weights of these adapters stand in the tables of their shapes, all of them at once."""
        ...

    def bottlenecks(self, shape: AdapterShape, layer: int, place: Place) -> Bottlenecks:
        """All slots of a shape; `scaling` is part of `up` and `up_bias`."""
        ...

    def coupling(self, name: str) -> AdditiveCoupling: ...

    def fuse(
        self,
        fusion: Fusion,
        layer: int,
        place: Place,
        x: Float[Tensor, "tokens width"],
        onto: Float[Tensor, "tokens width"],
    ) -> Float[Tensor, "tokens width"]:
        """onto + what a learned fusion makes of those of its adapters that act in this layer."""
        ...


def unknown_adapter(name: str, known: Sequence[str]) -> ConfigurationError:
    return ConfigurationError(f"there is no adapter {name!r}; {_known(known)}")


def unknown_fusion(names: Sequence[str], known: Sequence[Sequence[str]]) -> ConfigurationError:
    others = _known([f"that of {', '.join(other)}" for other in known])
    return ConfigurationError(f"no fusion of {', '.join(names)} was learned; {others}")


def _known(names: Sequence[str]) -> str:
    if not names:
        return "none was added"
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"known are {', '.join(names[:8])}{more}"
