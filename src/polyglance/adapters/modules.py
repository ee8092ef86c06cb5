"""Adapters as trainable modules: the bottlenecks of all layers, and the invertible adapter at the embeddings."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyglance.adapters.config import AdapterConfig, Place
from polyglance.errors import ConfigurationError
from polyglance.kernels.grouped import Bottlenecks
from polyglance.kernels.linear import Activation, activate

INITIAL_STD = 0.02
"""The standard deviation of the normal distribution that weights are drawn from, as in BERT."""


class Adapter(nn.Module):
    """The weights of one adapter in all layers of a body.

    config: the adapter's configuration. width, layers: of the body.

    The parameters are down: (stored, places, bottleneck, width), down_bias: (stored, places, bottleneck), up: (stored,
    places, width, bottleneck) and up_bias: (stored, places, width), where stored is 1 for shared weights and layers -
    depth otherwise. `up` is drawn small, so that a new adapter hardly changes the body.

    Raises ConfigurationError if the depth leaves no layer.
    """

    def __init__(self, config: AdapterConfig, width: int, layers: int) -> None:
        super().__init__()
        if config.depth >= layers:
            raise ConfigurationError(f"expected a depth of 0 to {layers - 1} in {layers} layers, got {config.depth}")
        self.config, self.width, self.layers = config, width, layers
        stored = 1 if config.shared else layers - config.depth
        places, bottleneck = len(config.places), config.bottleneck(width)
        self.down = nn.Parameter(torch.empty(stored, places, bottleneck, width).normal_(std=INITIAL_STD))
        self.down_bias = nn.Parameter(torch.zeros(stored, places, bottleneck))
        self.up = nn.Parameter(torch.empty(stored, places, width, bottleneck).normal_(std=INITIAL_STD / 2))
        self.up_bias = nn.Parameter(torch.zeros(stored, places, width))
        self.coupling = AdditiveCoupling(width, config.activation) if config.invertible else None

    def stored(self, layer: int) -> int:
        """The index of the stored set of weights that acts in `layer`."""
        return 0 if self.config.shared else layer - self.config.depth


class AdditiveCoupling(nn.Module):
    """The invertible adapter of MAD-X (arXiv:2005.00052, section 2.2.3), which couples two halves of its input.

    `forward` computes y1 = x1 + f(x2), y2 = x2 + g(y1); `inverse` undoes it up to rounding. The bottlenecks of f and g
    are half as wide as their inputs.
    """

    def __init__(self, width: int, activation: Activation) -> None:
        super().__init__()
        self.activation: Activation = activation
        self.cut = width // 2
        rest = width - self.cut
        self.f_down, self.f_up = nn.Linear(rest, rest // 2), nn.Linear(rest // 2, self.cut)
        self.g_down, self.g_up = nn.Linear(self.cut, self.cut // 2), nn.Linear(self.cut // 2, rest)
        for linear in (self.f_down, self.f_up, self.g_down, self.g_up):
            nn.init.normal_(linear.weight, std=INITIAL_STD)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        first, second = x[..., : self.cut], x[..., self.cut :]
        first = first + self._f(second)
        return torch.cat([first, second + self._g(first)], dim=-1)

    def inverse(self, y: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        first, second = y[..., : self.cut], y[..., self.cut :]
        second = second - self._g(first)
        return torch.cat([first - self._f(second), second], dim=-1)

    def _f(self, x: Tensor) -> Tensor:
        out: Tensor = self.f_up(activate(self.f_down(x), self.activation))
        return out

    def _g(self, x: Tensor) -> Tensor:
        out: Tensor = self.g_up(activate(self.g_down(x), self.activation))
        return out


def stacked(adapters: Sequence[Adapter], layer: int, place: Place) -> Bottlenecks:
    """Stacks the weights of adapters of one kind in one place of a layer, one adapter per slot, with gradients."""
    at = [(a, a.stored(layer), a.config.places.index(place)) for a in adapters]
    return Bottlenecks(
        torch.stack([a.down[i, p] for a, i, p in at]),
        torch.stack([a.down_bias[i, p] for a, i, p in at]),
        torch.stack([a.up[i, p] * a.config.scaling for a, i, p in at]),
        torch.stack([a.up_bias[i, p] * a.config.scaling for a, i, p in at]),
        adapters[0].config.activation,
    )
