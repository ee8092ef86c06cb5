"""Stacks of encoder layers, which run a batch with different adapters for each row."""

import math
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from polyglance.adapters.composition import Path, Stage
from polyglance.adapters.routing import Adaptation, Routing, Sublayer, Tokens, first_place, reads_output
from polyglance.nn.attention import Packing
from polyglance.nn.layer import EncoderLayer, NormPlacement

CHUNK_BYTES = 8 << 20
"""The size of the widest state of a chunk of rows on a CPU: small chunks reuse memory instead of asking the system for
more. The gain differs from run to run (`benchmarks/kernels.py`)."""


class Encoder(nn.Module):
    """A stack of transformer layers.

    layers: their number. width, heads, feed_forward, norm, eps: of each layer, as in `EncoderLayer`. last_norm: whether
    a pre-norm stack ends with a norm; False for the lower part of a stack.
    """

    def __init__(
        self,
        layers: int,
        width: int,
        heads: int,
        feed_forward: int,
        norm: NormPlacement = "pre",
        eps: float = 1e-5,
        last_norm: bool = True,
    ) -> None:
        super().__init__()
        self.widest = max(3 * width, feed_forward)
        self.layers = nn.ModuleList(EncoderLayer(width, heads, feed_forward, norm, eps) for _ in range(layers))
        self.last_norm = nn.LayerNorm(width, eps) if norm == "pre" and last_norm else nn.Identity()

    def forward(
        self,
        x: Float[Tensor, "batch tokens width"],
        mask: Bool[Tensor, "batch tokens"],
        adaptation: Adaptation | None = None,
        layers: range | None = None,
    ) -> Float[Tensor, "results tokens width"]:
        """Runs the layers.

        x: the embeddings or, if `layers` does not start at 0, the states from the layers below it, computed without
        adapters. mask: True for tokens that may be attended to; the others come out as zeros. adaptation: the adapters
        of each row; a row with a `Parallel` gives one result per part, in consecutive rows. layers: those to run, all
        by default; an empty range runs none.
        """
        layers = range(len(self.layers)) if layers is None else layers
        flow = self._run(_Flow.entering(x, mask, adaptation, layers.start), adaptation, layers)
        states = flow.x
        if layers.stop == len(self.layers):
            packing = Packing(flow.mask)
            states = packing.unpack(self.last_norm(packing.pack(states)))
        return states if adaptation is None else _results(states, adaptation)

    def first(
        self,
        x: Float[Tensor, "batch tokens width"],
        mask: Bool[Tensor, "batch tokens"],
        adaptation: Adaptation | None = None,
        start: int = 0,
    ) -> tuple[Float[Tensor, "results width"], Float[Tensor, "rows tokens width"]]:
        """Returns the first token's state, as `forward` computes it, and the states of all tokens half-way up.

        The last layer is computed for the first token only. Arguments are those of `forward`; start: the first layer to
        run.
        """
        last = len(self.layers) - 1
        middle = max(start, min((len(self.layers) + 1) // 2, last))
        halfway = self._run(_Flow.entering(x, mask, adaptation, start), adaptation, range(start, middle))
        flow = self._run(halfway, adaptation, range(middle, last))
        states = self.last_norm(self._first_of_last(flow, adaptation))
        return states if adaptation is None else _results(states, adaptation), halfway.x

    def _run(self, flow: "_Flow", adaptation: Adaptation | None, layers: range) -> "_Flow":
        if adaptation is None:
            return self._staged(flow, layers, None)
        for stage in adaptation.plan.stages:
            shared = range(max(stage.layers.start, layers.start), min(stage.layers.stop, layers.stop))
            if shared:
                flow = self._staged(flow, shared, _Acting(adaptation, stage, shared.start, flow.x.device))
        return flow

    def _staged(self, flow: "_Flow", layers: range, acting: "_Acting | None") -> "_Flow":
        """Runs consecutive layers of a stage, chunk by chunk."""
        begun = self._begun(flow, layers.start, acting) if acting and acting.replicates else None
        flow = flow.taken(acting.source) if acting and acting.source is not None else flow
        done = []
        for rows in self._chunks(flow.x):
            packing = Packing(flow.mask[rows])
            routing = acting.routing(rows, flow.tokens(rows, packing)) if acting else None
            if acting and begun and acting.source is not None:
                sublayer = begun.of(acting.source[rows], packing)
                x = self._layer(layers.start).finish(sublayer, acting.place, layers.start, routing)
            else:
                x = packing.pack(flow.x[rows])
            for index in layers[1:] if begun else layers:
                x = self._layer(index)(x, packing, index, routing)
            done.append(packing.unpack(x))
        return _Flow(done[0] if len(done) == 1 else torch.cat(done), flow.mask, flow.modality)

    def _begun(self, flow: "_Flow", layer: int, acting: "_Acting") -> "_Begun":
        packing = Packing(flow.mask)
        return _Begun(
            self._layer(layer).begin(packing.pack(flow.x), packing, acting.place, acting.reads_output), packing
        )

    def _first_of_last(self, flow: "_Flow", adaptation: Adaptation | None) -> Float[Tensor, "rows width"]:
        """Runs the last layer for the first token of each row."""
        last, packing = len(self.layers) - 1, Packing(flow.mask)
        if adaptation is None:
            sublayer = self._layer(last).begin(packing.pack(flow.x), packing, "attention", False, first=True)
            return self._layer(last).finish(sublayer, "attention", last)
        acting = _Acting(adaptation, adaptation.plan.stages[-1], last, flow.x.device)
        sublayer = self._layer(last).begin(packing.pack(flow.x), packing, acting.place, acting.reads_output, first=True)
        modality = None if flow.modality is None else flow.modality[:, 0]
        if acting.source is not None:
            sublayer = sublayer.take(acting.source)
            modality = None if modality is None else modality[acting.source]
        rows = torch.arange(len(sublayer.total), device=flow.x.device)
        return self._layer(last).finish(sublayer, acting.place, last, acting.routing(rows, Tokens(rows, modality)))

    def _chunks(self, x: Float[Tensor, "rows tokens width"]) -> tuple[Int[Tensor, " chunk"], ...]:
        """Splits the rows into equal chunks of about CHUNK_BYTES on a CPU without gradients; else one chunk."""
        rows = torch.arange(len(x), device=x.device)
        if x.device.type != "cpu" or torch.is_grad_enabled():
            return (rows,)
        widest = x.shape[1] * self.widest * x.element_size()
        return torch.tensor_split(rows, max(1, math.ceil(len(rows) * widest / CHUNK_BYTES)))

    def _layer(self, index: int) -> EncoderLayer:
        return cast("EncoderLayer", self.layers[index])


@dataclass(frozen=True, eq=False)
class _Flow:
    """The state of a batch between two layers."""

    x: Float[Tensor, "rows tokens width"]
    mask: Bool[Tensor, "rows tokens"]
    modality: Int[Tensor, "rows tokens"] | None

    @classmethod
    def entering(cls, x: Tensor, mask: Tensor, adaptation: Adaptation | None, layer: int) -> "_Flow":
        """Returns the batch before a layer. Invertible adapters act before the first one, so their rows are
        replicated."""
        flow = cls(x, mask, adaptation.modality if adaptation else None)
        if adaptation is None or layer > 0 or not adaptation.couplings:
            return flow
        flow = flow.taken(torch.tensor(adaptation.plan.stages[0].source, device=x.device))
        return cls(adaptation.couple(flow.x), flow.mask, flow.modality)

    def taken(self, rows: Int[Tensor, " taken"]) -> "_Flow":
        return _Flow(self.x[rows], self.mask[rows], None if self.modality is None else self.modality[rows])

    def tokens(self, rows: Int[Tensor, " chunk"], packing: Packing) -> Tokens:
        """Returns the real tokens of some rows."""
        return Tokens(packing.row, None if self.modality is None else packing.of_tokens(self.modality[rows]))


@dataclass(frozen=True, eq=False)
class _Begun:
    """The output of a layer up to the place where its rows are replicated."""

    sublayer: Sublayer
    packing: Packing

    def of(self, rows: Int[Tensor, " chunk"], packing: Packing) -> Sublayer:
        """Selects some rows. packing: of these rows alone."""
        return self.sublayer.take(self.packing.tokens_of(rows, packing))


class _Acting:
    """The adapters of a stage from `layer` on. source: the row that each row is copied from; None if none is copied."""

    def __init__(self, adaptation: Adaptation, stage: Stage, layer: int, device: torch.device) -> None:
        self.adapters, self.steps = adaptation.adapters, stage.steps
        entered = layer > stage.layers.start or (layer == 0 and adaptation.couplings)
        in_place = entered or stage.source == tuple(range(len(stage.source)))
        self.source = None if in_place else torch.tensor(stage.source, device=device)
        self.replicates = not in_place and any(stage.steps) and len(set(stage.source)) < len(stage.source)
        self.place = first_place(self.adapters, stage.steps)
        self.reads_output = reads_output(self.adapters, stage.steps)

    def routing(self, rows: Int[Tensor, " chunk"], tokens: Tokens) -> Routing | None:
        steps: list[Path] = [self.steps[row] for row in rows.tolist()]
        return Routing(self.adapters, steps, tokens) if any(steps) else None


def _results(states: Float[Tensor, "rows *rest"], adaptation: Adaptation) -> Float[Tensor, "results *rest"]:
    """Orders the rows as in the batch and, for each row of the batch, as its parts."""
    order = [row for rows in adaptation.plan.results for row in rows]
    if order == list(range(len(states))):
        return states
    return states.index_select(0, torch.tensor(order, device=states.device))


def unit(x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
    """Normalizes to unit length along the last axis, in float32."""
    return F.normalize(x.float(), dim=-1)
