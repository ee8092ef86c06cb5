"""AdapterFusion: attention over the outputs of several adapters (Pfeiffer et al., arXiv:2005.00247)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.modules import INITIAL_STD
from polyglance.errors import ConfigurationError
from polyglance.kernels.grouped import Bottlenecks
from polyglance.kernels.linear import Activation, activate, linear, linear_onto


class FusionWeights(nn.Module):
    """The weights of a fusion of adapters in all layers of a body.

    With q the input of the adapters and u_i the output of adapter i without the residual, each place of a layer adds

        sum_i softmax_i((query q + query_bias) . (key u_i)) value u_i          (arXiv:2005.00247, equations 4 to 6)

    The key has no bias, which would cancel in the softmax. The parameters are query, key and value: (layers, places,
    width, width), and query_bias: (layers, places, width).

    names: the adapters to fuse. places: the number of places per layer. width, layers: of the body. The attribute
    `kept` lists the adapters that act in each layer: all of `names` unless some were pruned (arXiv:2010.11918,
    section 4.2).

    Raises ConfigurationError if `names` is empty or repeats a name.
    """

    def __init__(self, names: Sequence[str], places: int, width: int, layers: int) -> None:
        super().__init__()
        self.names = tuple(names)
        if len(set(self.names)) < len(self.names) or not self.names:
            raise ConfigurationError(f"expected adapters of different names to fuse, got {list(names)}")
        self.width, self.layers, self.places = width, layers, places
        self.kept: tuple[tuple[str, ...], ...] = (self.names,) * layers
        shape = (layers, places, width, width)
        self.query = nn.Parameter(torch.empty(shape).normal_(std=INITIAL_STD))
        self.query_bias = nn.Parameter(torch.zeros(shape[:-1]))
        self.key = nn.Parameter(torch.empty(shape).normal_(std=INITIAL_STD))
        self.value = nn.Parameter(torch.eye(width).expand(shape).clone())

    def keep(self, kept: Sequence[Sequence[str]]) -> None:
        """Prunes all adapters that `kept` does not name for a layer.

        Raises ConfigurationError unless `kept` lists one or more of `names` for every layer.
        """
        for layer, names in enumerate(kept):
            if not names or not set(names) <= set(self.names):
                raise ConfigurationError(
                    f"expected one or more of {', '.join(self.names)} to keep in layer {layer}, got {list(names)}"
                )
        if len(kept) != self.layers:
            raise ConfigurationError(f"expected adapters to keep for each of {self.layers} layers, got {len(kept)}")
        self.kept = tuple(tuple(name for name in self.names if name in names) for names in kept)

    def mix(
        self, layer: int, place: int, x: Float[Tensor, "tokens width"], outputs: Float[Tensor, "tokens adapters width"]
    ) -> tuple[Float[Tensor, "tokens width"], Float[Tensor, "tokens adapters"]]:
        """Returns the sum to add and the weight of each adapter, with gradients.

        layer, place: indices into the weights. x: the input of the adapters. outputs: their outputs.
        """
        # The key is applied to the query and the value to the sum: three products serve any number of adapters
        query = F.linear(x, self.query[layer, place], self.query_bias[layer, place])
        asked = F.linear(query, self.key[layer, place].T)
        weights = (outputs * asked[:, None]).sum(dim=-1).softmax(dim=-1, dtype=torch.float32)
        mixed = (weights[..., None].to(outputs.dtype) * outputs).sum(dim=1)
        return F.linear(mixed, self.value[layer, place]), weights

    def distance_from_identity(self) -> Float[Tensor, ""]:
        """The squared Frobenius norm of `value` - identity, summed over layers and places; training keeps it small."""
        return (self.value - torch.eye(self.width, device=self.value.device)).square().sum()


@dataclass(frozen=True, eq=False)
class FoldedFusion:
    """A fusion of N bottlenecks of width b in one place of one layer, computed by two products for any N.

    With u_i = up_i z_i + c_i, the scores and the sum of `FusionWeights` are

        (query x + query_bias) . (key u_i) = z_i . (P_i x + p_i) + (r_i . x + t_i)
        sum_i a_i value u_i = sum_i (value up_i) a_i z_i + (value c_i) a_i

    where P_i, p_i, r_i and t_i do not depend on x. The result is exact up to rounding.

    inward: (2 N b + N, width), computes z before its activation, P x + p and r x + t. inward_bias: (2 N b + N).
    outward: (width, N b + N). names: the adapters. activation: of the bottlenecks.
    """

    inward: Float[Tensor, "inner width"]
    inward_bias: Float[Tensor, " inner"]
    outward: Float[Tensor, "width mixed"]
    names: tuple[str, ...]
    activation: Activation

    @classmethod
    def of(
        cls,
        fusion: FusionWeights,
        layer: int,
        place: int,
        names: tuple[str, ...],
        bottlenecks: Bottlenecks,
    ) -> "FoldedFusion":
        """Folds a fusion in float32.

        layer, place: indices into the fusion's weights. names: the adapters that act. bottlenecks: their weights, one
        adapter per slot.
        """
        b = bottlenecks
        width = b.down.shape[-1]
        query, key, value = (w[layer, place].float() for w in (fusion.query, fusion.key, fusion.value))
        product, constant = key.T @ query, key.T @ fusion.query_bias[layer, place].float()
        inward = [b.down.reshape(-1, width), (b.up.mT @ product).reshape(-1, width), b.up_bias @ product]
        biases = [b.down_bias.flatten(), (b.up.mT @ constant).flatten(), b.up_bias @ constant]
        outward = [(value @ b.up).permute(1, 0, 2).flatten(1), (b.up_bias @ value.T).T]
        return cls(
            torch.cat(inward),
            torch.cat(biases),
            torch.cat(outward, dim=1),
            names,
            b.activation,
        )

    def onto(
        self, x: Float[Tensor, "tokens width"], onto: Float[Tensor, "tokens width"]
    ) -> Float[Tensor, "tokens width"]:
        """Adds the output of the fusion for x to `onto`."""
        hidden, weights = self._mix(x)
        mixed = (hidden * weights[..., None]).flatten(1)
        return linear_onto(torch.cat([mixed, weights], dim=1), self.outward, None, onto)

    def weights(self, x: Float[Tensor, "tokens width"]) -> Float[Tensor, "tokens adapters"]:
        """The weight of each adapter for each token; the weights of a token sum to 1."""
        return self._mix(x)[1]

    def only(self, names: Sequence[str]) -> "FoldedFusion":
        """Returns the fusion of a subset of its adapters, in its own order, by selecting rows and columns."""
        if len(names) == len(self.names):
            return self
        count, b = len(self.names), self._bottleneck
        at = [place for place, name in enumerate(self.names) if name in names]
        bottlenecks = torch.arange(2 * count * b).view(2, count, b)[:, at]
        scores = torch.tensor(at)
        rows = torch.cat([bottlenecks.flatten(), 2 * count * b + scores]).to(self.inward.device)
        columns = torch.cat([bottlenecks[0].flatten(), count * b + scores]).to(self.inward.device)
        kept = tuple(self.names[place] for place in at)
        return FoldedFusion(
            self.inward[rows], self.inward_bias[rows], self.outward[:, columns].contiguous(), kept, self.activation
        )

    def to(self, device: torch.device, dtype: torch.dtype) -> "FoldedFusion":
        """Returns a copy with weights on another device or of another dtype."""
        inward, bias, outward = (part.to(device, dtype) for part in (self.inward, self.inward_bias, self.outward))
        return FoldedFusion(inward, bias, outward, self.names, self.activation)

    @property
    def _bottleneck(self) -> int:
        return (len(self.inward) // len(self.names) - 1) // 2

    def _mix(self, x: Tensor) -> tuple[Float[Tensor, "tokens adapters bottleneck"], Float[Tensor, "tokens adapters"]]:
        inner = linear(x, self.inward, self.inward_bias)
        adapters = len(self.names)
        wide = adapters * self._bottleneck
        hidden = activate(inner[:, :wide], self.activation).unflatten(1, (adapters, -1))
        asked = inner[:, wide : 2 * wide].unflatten(1, (adapters, -1))
        scores = (hidden * asked).sum(dim=-1, dtype=torch.float32) + inner[:, 2 * wide :]
        return hidden, scores.softmax(dim=-1).to(x.dtype)


def check_fusion(fusion: FusionWeights, configs: Sequence[AdapterConfig], width: int, layers: int) -> None:
    """Raises ConfigurationError unless a fusion fits a body and the configurations of its adapters."""
    if (fusion.width, fusion.layers) != (width, layers):
        raise ConfigurationError(
            f"expected a fusion for {layers} layers of width {width}, "
            f"got one for {fusion.layers} of width {fusion.width}"
        )
    kinds = {(config.placement, config.activation, config.bottleneck(width)) for config in configs}
    if len(kinds) > 1:
        raise ConfigurationError(
            f"expected adapters of one placement, activation and bottleneck to fuse, got {sorted(kinds)}"
        )
    if fusion.places != len(configs[0].places):
        raise ConfigurationError(
            f"expected a fusion of {len(configs[0].places)} places a layer, as its adapters have, got {fusion.places}"
        )
