"""The protocol shared by the sources of adapter weights: a bank, and adapters in training."""

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
    """The properties shared by adapters with weights in one table, so that one grouped product serves them all."""

    placement: Placement
    activation: Activation
    bottleneck: int

    @classmethod
    def of(cls, config: AdapterConfig, width: int) -> "AdapterShape":
        return cls(config.placement, config.activation, config.bottleneck(width))


class AdapterSource(Protocol):
    """The adapters of one body, by name. An unknown name raises ConfigurationError."""

    width: int
    layers: int

    def config(self, name: str) -> AdapterConfig:
        """The configuration of an adapter."""
        ...

    def slots(self, names: Sequence[str]) -> dict[str, int]:
        """Returns the slots of these adapters in the tables of their shapes; all are available at once."""
        ...

    def bottlenecks(self, shape: AdapterShape, layer: int, place: Place) -> Bottlenecks:
        """Returns the weights of all slots of a shape in one place of a layer, with `scaling` included."""
        ...

    def coupling(self, name: str) -> AdditiveCoupling:
        """The coupling of an invertible adapter."""
        ...

    def fuse(
        self,
        fusion: Fusion,
        layer: int,
        place: Place,
        x: Float[Tensor, "tokens width"],
        onto: Float[Tensor, "tokens width"],
    ) -> Float[Tensor, "tokens width"]:
        """Adds the output of a learned fusion to `onto`; `fusion.leaves` are the adapters that act in this layer."""
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
