"""AdapterFusion: attention over the outputs of several adapters (Pfeiffer et al., arXiv:2005.00247)."""

from collections.abc import Sequence

import torch
from torch import nn

from polyglance.adapters.modules import INITIAL_STD
from polyglance.errors import ConfigurationError


class FusionWeights(nn.Module):
    """What a fusion of adapters has learned, in all layers of a body.

    With q the adapters' input and u_i the output of adapter i, without residual, a place of a layer adds

        sum_i softmax_i((query q + query_bias) . (key u_i)) value u_i          (arXiv:2005.00247, equations 4 to 6)

    A bias of the key would cancel in the softmax; there is none. query, key, value: (layers, places, width, width);
    query_bias: (layers, places, width). kept: for each layer the adapters that act there, all of `names` unless some
    were pruned (arXiv:2010.11918, section 4.2).
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
