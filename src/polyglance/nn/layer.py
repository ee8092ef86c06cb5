"""A transformer encoder layer, pre- or post-norm, with places for adapters."""

from functools import partial
from typing import Literal, cast

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from polyglance.adapters.config import Place
from polyglance.adapters.routing import Routing, Sublayer
from polyglance.kernels.linear import linear, linear_onto
from polyglance.nn.attention import Packing, SelfAttention

NormPlacement = Literal["pre", "post"]


class EncoderLayer(nn.Module):
    """Self-attention and a GELU feed-forward, each with a residual and a norm.

    Adapters act where each output is added to its residual. In a pre-norm layer a `pfeiffer` adapter reads the sum
    normed without weights; the adapter's own weights take their place.

    width: of the states. heads: of attention. feed_forward: the inner width. norm: `pre` or `post`, before or after
    attention and feed-forward. eps: of the norms.
    """

    def __init__(
        self, width: int, heads: int, feed_forward: int, norm: NormPlacement = "pre", eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.norm = norm
        self.attention = SelfAttention(width, heads)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.feed_forward = nn.Sequential(nn.Linear(width, feed_forward), nn.GELU(), nn.Linear(feed_forward, width))
        self.feed_forward_norm = nn.LayerNorm(width, eps)

    def forward(
        self, x: Float[Tensor, "real width"], packing: Packing, index: int = 0, routing: Routing | None = None
    ) -> Float[Tensor, "real width"]:
        """Runs the layer. index: of this layer. routing: the adapters of the packed rows; None for none."""
        keep = routing is not None and routing.reads_output
        return self.finish(self.begin(x, packing, "attention", keep), "attention", index, routing)

    def begin(
        self, x: Float[Tensor, "real width"], packing: Packing, place: Place, keep_output: bool, first: bool = False
    ) -> Sublayer:
        """Runs the layer up to a place, without adapters.

        keep_output: whether an adapter reads the output without the residual. first: computes only the first token of
        each row.
        """
        read = self.attention_norm(x) if self.norm == "pre" else x
        attended = self.attention.first(read, packing) if first else self.attention(read, packing)
        skip, read = (packing.first(x), packing.first(read)) if first else (x, read)
        sublayer = _sublayer(skip, read, attended, self.attention.project_out, keep_output and place == "attention")
        if place == "attention":
            return sublayer
        return self._fed(self._normed(sublayer.total, self.attention_norm), keep_output)

    def finish(
        self, sublayer: Sublayer, place: Place, index: int, routing: Routing | None = None
    ) -> Float[Tensor, "real width"]:
        """Runs the layer from a place on, with the adapters."""
        if place == "attention":
            x = self._normed(self._adapted(sublayer, place, index, routing), self.attention_norm)
            sublayer = self._fed(x, routing is not None and routing.reads_output)
        return self._normed(self._adapted(sublayer, "feed_forward", index, routing), self.feed_forward_norm)

    def become_identity(self) -> None:
        """Zeroes the last projections, so that a pre-norm layer returns its input."""
        for last in (self.attention.project_out, self.feed_forward[2]):
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def _fed(self, x: Tensor, keep_output: bool) -> Sublayer:
        read = self.feed_forward_norm(x) if self.norm == "pre" else x
        wide = cast("nn.Linear", self.feed_forward[0])
        hidden = linear(read, wide.weight, wide.bias, "gelu")
        return _sublayer(x, read, hidden, cast("nn.Linear", self.feed_forward[2]), keep_output)

    def _adapted(self, sublayer: Sublayer, place: Place, index: int, routing: Routing | None) -> Tensor:
        if routing is None:
            return sublayer.total
        own = self.attention_norm if place == "attention" else self.feed_forward_norm
        norm = own if self.norm == "post" else partial(F.layer_norm, normalized_shape=own.normalized_shape, eps=own.eps)
        return routing.onto(index, place, sublayer, norm)

    def _normed(self, total: Tensor, norm: nn.LayerNorm) -> Tensor:
        return total if self.norm == "pre" else norm(total)


def _sublayer(skip: Tensor, read: Tensor, hidden: Tensor, last: nn.Linear, keep_output: bool) -> Sublayer:
    if keep_output:
        out = linear(hidden, last.weight, last.bias)
        return Sublayer(skip, read, skip + out, out)
    return Sublayer(skip, read, linear_onto(hidden, last.weight, last.bias, skip), None)
