"""Which tokens of a batch go through which adapter: worked out once for its rows, and used in every layer."""

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
    """The real tokens of some rows, one below the other. modality: TEXT or IMAGE, None if all are text."""

    row: Int[Tensor, " real"]
    modality: Int[Tensor, " real"] | None


@dataclass(frozen=True, eq=False)
class Adaptation:
    """What is to act on each row of a batch. compositions: one a row. modality: TEXT or IMAGE, None if all are text."""

    adapters: AdapterSource
    compositions: Sequence[Composition]
    modality: Int[Tensor, "batch tokens"] | None = None

    @cached_property
    def plan(self) -> Plan:
        """Raises ConfigurationError for a composition that names an unknown adapter or reaches no layer."""
        names = {leaf.name for one in set(self.compositions) for path in paths(one) for leaf in leaves(path)}
        depths = {name: self.adapters.config(name).depth for name in names}
        return plan(self.compositions, self.adapters.layers, depths)

    @cached_property
    def couplings(self) -> bool:
        """Whether an invertible adapter acts on the embeddings of any row."""
        return any(_couplings(self.adapters, path) for path in self.plan.stages[0].steps)

    def couple(self, x: Float[Tensor, "rows tokens width"]) -> Float[Tensor, "rows tokens width"]:
        """The invertible adapters of each row of the first stage, at the embeddings (arXiv:2005.00052)."""
        return self._coupled(x, self.plan.stages[0].steps, inverse=False)

    def uncouple(self, x: Float[Tensor, "results tokens width"]) -> Float[Tensor, "results tokens width"]:
        """Their inverses before the language-model head, each row with its own; rows as the encoder returns them."""
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
    """The n-th step of all rows whose adapters have one shape, or belong to one fusion.

    order: the tokens it acts on, sorted by group; None for the first `acting` tokens as they are.
    """

    shape: AdapterShape
    order: Int[Tensor, " acting"] | None
    acting: int
    groups: Groups
    fusion: Fusion | None


def first_place(source: AdapterSource, steps: Sequence[Path]) -> Place:
    """Where in a layer the first adapter of any row acts."""
    placements = _placements(source, steps)
    return "attention" if any("attention" in PLACES[placement] for placement in placements) else "feed_forward"


def reads_output(source: AdapterSource, steps: Sequence[Path]) -> bool:
    """Whether an adapter reads what attention or the feed-forward put out, without the residual."""
    return "houlsby" in _placements(source, steps)


def _placements(source: AdapterSource, steps: Sequence[Path]) -> set[Placement]:
    return {source.config(leaf.name).placement for path in set(steps) for leaf in leaves(path)}


class Routing:
    """The adapters of some rows in the layers of a stage."""

    def __init__(self, source: AdapterSource, steps: Sequence[Path], tokens: Tokens) -> None:
        self.source, self.reads_output = source, reads_output(source, steps)
        alone = [step.name for path in dict.fromkeys(steps) for step in path if isinstance(step, Leaf)]
        slots = source.slots(alone)
        self.routed = [
            one
            for turn in range(max(map(len, steps)))
            for one in _routed(source, slots, steps, turn, tokens)
            if one.acting
        ]

    def onto(
        self,
        layer: int,
        place: Place,
        sublayer: "Sublayer",
        norm: Callable[[Float[Tensor, "tokens width"]], Float[Tensor, "tokens width"]],
    ) -> Float[Tensor, "tokens width"]:
        """sublayer.total plus what the adapters add at one place of a layer.

        norm: applied to a sum before a `pfeiffer` adapter reads it.
        """
        out, total = sublayer.out, sublayer.total
        for one in self.routed:
            if place not in PLACES[one.shape.placement]:
                continue
            match one.shape.placement:
                case "pfeiffer":
                    x = norm(total)
                case "parallel":
                    x = sublayer.read
                case "houlsby":
                    assert out is not None
                    x = out
            if out is None:
                total = self._add(one, layer, place, x, total)
            else:
                out = self._add(one, layer, place, x, out)
                total = sublayer.skip + out
        return total

    def _add(self, one: RoutedStep, layer: int, place: Place, x: Tensor, onto: Tensor) -> Tensor:
        if one.order is None and one.acting == len(x):
            return self._added(one, layer, place, x, onto)
        if one.order is None:
            some = slice(0, one.acting)
            return torch.cat([self._added(one, layer, place, x[some], onto[some]), onto[one.acting :]])
        added = self._added(one, layer, place, x.index_select(0, one.order), onto.index_select(0, one.order))
        return onto.index_copy(0, one.order, added.to(onto.dtype))

    def _added(self, one: RoutedStep, layer: int, place: Place, x: Tensor, onto: Tensor) -> Tensor:
        if one.fusion:
            return self.source.fuse(one.fusion, layer, place, x, onto)
        return bottlenecks_onto(x, self.source.bottlenecks(one.shape, layer, place), one.groups, onto)


@dataclass(frozen=True, eq=False)
class Sublayer:
    """The output of attention or of the feed-forward, before its adapters and its norm.

    skip: the residual; read: what it read; total: skip + what it put out; out: what it put out, where an adapter reads
    that.
    """

    skip: Float[Tensor, "tokens width"]
    read: Float[Tensor, "tokens width"]
    total: Float[Tensor, "tokens width"]
    out: Float[Tensor, "tokens width"] | None

    def take(self, index: Int[Tensor, " taken"]) -> "Sublayer":
        """These tokens of it."""
        skip, read, total = (part.index_select(0, index) for part in (self.skip, self.read, self.total))
        return Sublayer(skip, read, total, None if self.out is None else self.out.index_select(0, index))


def _routed(
    source: AdapterSource, slots: Mapping[str, int], steps: Sequence[Path], turn: int, tokens: Tokens
) -> Iterator[RoutedStep]:
    """The rounds of all rows' step number `turn`, one for each kind of adapter and for each fusion."""
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
    """For each token the place in `names` of the adapter that acts on it, len(names) where none does."""
    none = len(names)
    device = tokens.row.device
    rank = torch.tensor([names.index(name_of[row]) if row in name_of else none for row in range(rows)], device=device)
    ranks = rank[tokens.row]
    wanted = [source.config(name).modality for name in names]
    if any(wanted):
        read = [-1 if modality is None else MODALITIES[modality] for modality in wanted]
        wanted_there = torch.tensor([*read, -1], device=device)[ranks]
        there = torch.full_like(ranks, TEXT) if tokens.modality is None else tokens.modality
        ranks = torch.where((wanted_there < 0) | (wanted_there == there), ranks, none)
    return ranks


def _step(shape: AdapterShape, fusion: Fusion | None, slots: Sequence[int], ranks: Int[Tensor, " real"]) -> RoutedStep:
    counts = torch.bincount(ranks, minlength=len(slots) + 1)[:-1].tolist()
    acting = sum(counts)
    in_order = bool((ranks.diff() >= 0).all())
    order = None if in_order else ranks.argsort(stable=True)[:acting]
    there = [place for place, count in enumerate(counts) if count]
    ends = tuple(accumulate(counts[place] for place in there))
    return RoutedStep(shape, order, acting, Groups(tuple(slots[place] for place in there), ends), fusion)
