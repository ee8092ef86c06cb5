"""Routing of the tokens of a batch to adapters: computed once for a set of rows and used in every layer of a stage."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polyglance.adapters.composition import Composition, Fusion, Leaf, Path, Plan, leaves, paths, plan
from polyglance.adapters.config import PLACES, Place, Placement
from polyglance.adapters.source import AdapterShape, AdapterSource
from polyglance.kernels.grouped import Groups, bottlenecks_onto
from polyglance.types import Modality

TEXT, IMAGE = 0, 1
MODALITIES: dict[Modality, int] = {"text": TEXT, "image": IMAGE}


@dataclass(frozen=True, eq=False)
class Tokens:
    """The real tokens of some rows, concatenated.

    row: the row of each token. modality: TEXT or IMAGE for each token; None if all are text.
    """

    row: Int[Tensor, " real"]
    modality: Int[Tensor, " real"] | None


@dataclass(frozen=True, eq=False)
class Adaptation:
    """The adapters that act on each row of a batch.

    adapters: the source of their weights. compositions: one for each row. modality: TEXT or IMAGE for each token; None
    if all are text.
    """

    adapters: AdapterSource
    compositions: Sequence[Composition]
    modality: Int[Tensor, "batch tokens"] | None = None

    @cached_property
    def plan(self) -> Plan:
        """The stages that the batch goes through.

        Raises ConfigurationError if a composition names an unknown adapter or has a depth beyond the last layer.
        """
        names = {
            leaf.name for composition in set(self.compositions) for path in paths(composition) for leaf in leaves(path)
        }
        depths = {name: self.adapters.config(name).depth for name in names}
        return plan(self.compositions, self.adapters.layers, depths)

    @cached_property
    def couplings(self) -> bool:
        """Whether an invertible adapter acts on the embeddings of any row."""
        return any(_couplings(self.adapters, path) for path in self.plan.stages[0].steps)

    def couple(self, x: Float[Tensor, "rows tokens width"]) -> Float[Tensor, "rows tokens width"]:
        """Applies the invertible adapters of each row of the first stage to the embeddings (arXiv:2005.00052)."""
        return self._coupled(x, self.plan.stages[0].steps, inverse=False)

    def uncouple(self, x: Float[Tensor, "results tokens width"]) -> Float[Tensor, "results tokens width"]:
        """Applies the inverses before the language-model head; rows are in the order of the encoder's results."""
        last = self.plan.stages[-1].steps
        return self._coupled(x, [last[row] for rows in self.plan.results for row in rows], inverse=True)

    def _coupled(self, x: Tensor, paths: Sequence[Path], inverse: bool) -> Tensor:
        for names in {_couplings(self.adapters, path) for path in paths} - {()}:
            rows = [row for row, path in enumerate(paths) if _couplings(self.adapters, path) == names]
            index = torch.tensor(rows, device=x.device)
            part = x.index_select(0, index)
            for name in reversed(names) if inverse else names:
                coupling = self.adapters.coupling(name)
                part = coupling.inverse(part) if inverse else coupling(part)
            x = x.index_copy(0, index, part)
        return x


def _couplings(source: AdapterSource, path: Path) -> tuple[str, ...]:
    return tuple(step.name for step in path if isinstance(step, Leaf) and source.config(step.name).invertible)


@dataclass(frozen=True, eq=False)
class RoutedStep:
    """The n-th step of all rows with adapters of one shape, or with one fusion.

    order: the tokens that the step acts on, sorted by group; None stands for the first `acting` tokens as they are.
    """

    shape: AdapterShape
    order: Int[Tensor, " acting"] | None
    acting: int
    groups: Groups
    fusion: Fusion | None


def first_place(source: AdapterSource, steps: Sequence[Path]) -> Place:
    """The place in a layer where the first adapter of any row acts."""
    placements = _placements(source, steps)
    return "attention" if any("attention" in PLACES[placement] for placement in placements) else "feed_forward"


def reads_output(source: AdapterSource, steps: Sequence[Path]) -> bool:
    """Whether an adapter reads the output of attention or of the feed-forward without the residual."""
    return "houlsby" in _placements(source, steps)


def _placements(source: AdapterSource, steps: Sequence[Path]) -> set[Placement]:
    return {source.config(leaf.name).placement for path in set(steps) for leaf in leaves(path)}


class Routing:
    """The adapters of some rows in the layers of a stage.

    steps: for each row, the steps that act on it. tokens: the real tokens of these rows.
    """

    def __init__(self, source: AdapterSource, steps: Sequence[Path], tokens: Tokens) -> None:
        self.source, self.reads_output = source, reads_output(source, steps)
        single = [step.name for path in dict.fromkeys(steps) for step in path if isinstance(step, Leaf)]
        slots = source.slots(single)
        self.routed = [
            step
            for turn in range(max(map(len, steps)))
            for step in _routed(source, slots, steps, turn, tokens)
            if step.acting
        ]

    def onto(
        self,
        layer: int,
        place: Place,
        sublayer: "Sublayer",
        norm: Callable[[Float[Tensor, "tokens width"]], Float[Tensor, "tokens width"]],
    ) -> Float[Tensor, "tokens width"]:
        """Returns `sublayer.total` plus the outputs of the adapters at one place of a layer.

        norm: applied to a sum before a `pfeiffer` adapter reads it.
        """
        out, total = sublayer.out, sublayer.total
        for step in self.routed:
            if place not in PLACES[step.shape.placement]:
                continue
            match step.shape.placement:
                case "pfeiffer":
                    x = norm(total)
                case "parallel":
                    x = sublayer.read
                case "houlsby":
                    assert out is not None
                    x = out
            if out is None:
                total = self._add(step, layer, place, x, total)
            else:
                out = self._add(step, layer, place, x, out)
                total = sublayer.skip + out
        return total

    def _add(self, step: RoutedStep, layer: int, place: Place, x: Tensor, onto: Tensor) -> Tensor:
        if step.order is None and step.acting == len(x):
            return self._added(step, layer, place, x, onto)
        if step.order is None:
            acting = slice(0, step.acting)
            return torch.cat([self._added(step, layer, place, x[acting], onto[acting]), onto[step.acting :]])
        added = self._added(step, layer, place, x.index_select(0, step.order), onto.index_select(0, step.order))
        return onto.index_copy(0, step.order, added.to(onto.dtype))

    def _added(self, step: RoutedStep, layer: int, place: Place, x: Tensor, onto: Tensor) -> Tensor:
        if step.fusion:
            return self.source.fuse(step.fusion, layer, place, x, onto)
        return bottlenecks_onto(x, self.source.bottlenecks(step.shape, layer, place), step.groups, onto)


@dataclass(frozen=True, eq=False)
class Sublayer:
    """The output of attention or of the feed-forward, before its adapters and its norm.

    skip: the residual. read: the input of the sublayer. total: skip + the sublayer's output. out: the sublayer's
    output, None if no adapter reads it.
    """

    skip: Float[Tensor, "tokens width"]
    read: Float[Tensor, "tokens width"]
    total: Float[Tensor, "tokens width"]
    out: Float[Tensor, "tokens width"] | None

    def take(self, index: Int[Tensor, " taken"]) -> "Sublayer":
        """Selects tokens by their index."""
        skip, read, total = (part.index_select(0, index) for part in (self.skip, self.read, self.total))
        return Sublayer(skip, read, total, None if self.out is None else self.out.index_select(0, index))


def _routed(
    source: AdapterSource, slots: Mapping[str, int], steps: Sequence[Path], turn: int, tokens: Tokens
) -> Iterator[RoutedStep]:
    """Yields the step number `turn` of all rows, once per adapter shape and once per fusion."""
    rows: defaultdict[tuple[AdapterShape, Fusion | None], dict[int, str]] = defaultdict(dict)
    for row, path in enumerate(steps):
        if turn < len(path):
            step = path[turn]
            name = step.name if isinstance(step, Leaf) else step.leaves[0].name
            shape = AdapterShape.of(source.config(name), source.width)
            rows[shape, None if isinstance(step, Leaf) else step][row] = name
    for (shape, fusion), name_of in rows.items():
        names = list(dict.fromkeys(name_of.values()))
        ranks = _ranks(source, names, name_of, len(steps), tokens)
        yield _step(shape, fusion, [0 if fusion else slots[name] for name in names], ranks)


def _ranks(
    source: AdapterSource, names: Sequence[str], name_of: Mapping[int, str], rows: int, tokens: Tokens
) -> Int[Tensor, " real"]:
    """For each token, the index in `names` of the adapter that acts on it; len(names) if none does."""
    none = len(names)
    device = tokens.row.device
    rank = torch.tensor([names.index(name_of[row]) if row in name_of else none for row in range(rows)], device=device)
    ranks = rank[tokens.row]
    wanted = [source.config(name).modality for name in names]
    if any(wanted):
        read = [-1 if kind is None else MODALITIES[kind] for kind in wanted]
        adapted = torch.tensor([*read, -1], device=device)[ranks]
        modality = torch.full_like(ranks, TEXT) if tokens.modality is None else tokens.modality
        ranks = torch.where((adapted < 0) | (adapted == modality), ranks, none)
    return ranks


def _step(shape: AdapterShape, fusion: Fusion | None, slots: Sequence[int], ranks: Int[Tensor, " real"]) -> RoutedStep:
    counts = torch.bincount(ranks, minlength=len(slots) + 1)[:-1].tolist()
    acting = sum(counts)
    in_order = bool((ranks.diff() >= 0).all())
    order = None if in_order else ranks.argsort(stable=True)[:acting]
    used = [index for index, count in enumerate(counts) if count]
    ends = tuple(accumulate(counts[index] for index in used))
    return RoutedStep(shape, order, acting, Groups(tuple(slots[index] for index in used), ends), fusion)
