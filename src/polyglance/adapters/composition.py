"""Compositions: hashable values that say which adapters act on a row of a batch, and in which order.

    "vqa"                                 one adapter
    Stack("de", "vqa")                    the language adapter, then the task adapter (MAD-X, arXiv:2005.00052)
    Parallel("verify", "count")           each adapter separately, in one pass (arXiv:2010.11918, section 3)
    Fuse("verify", "count", "match")      their outputs mixed by AdapterFusion (arXiv:2005.00247)
    Drop("vqa", 5)                        no adapter in the first five layers (AdapterDrop, arXiv:2010.11918)
    None                                  the model without adapters

Compositions can be nested wherever the result has a meaning. A composition unfolds into *paths*, one per result: an
adapter stacked on a `Parallel` is applied to each branch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

from polyglance.errors import ConfigurationError


@dataclass(frozen=True)
class Leaf:
    """One adapter that acts in the layers from `depth` upwards."""

    name: str
    depth: int = 0


@dataclass(frozen=True)
class Fusion:
    """Several adapters that read the same input and have their outputs mixed.

    names: the adapters that the fusion was learned for. leaves: those that act.
    """

    names: tuple[str, ...]
    leaves: tuple[Leaf, ...]


Step = Leaf | Fusion
Path = tuple[Step, ...]
"""The steps that are applied to one row, from first to last."""


@dataclass(frozen=True, init=False)
class _Composition:
    parts: "tuple[Composition, ...]"

    def __init__(self, *parts: "Composition") -> None:
        object.__setattr__(self, "parts", parts)
        if not parts:
            raise ConfigurationError(f"expected one or more parts in {self!r}, got none")
        paths(cast("Composition", self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.parts))})"


class Stack(_Composition):
    """Applies its parts one after the other within each layer."""


class Parallel(_Composition):
    """Applies its parts separately to the same input and gives one result per part."""


class Fuse(_Composition):
    """Applies its parts to the same input and mixes their outputs into one result."""


@dataclass(frozen=True)
class Drop:
    """Leaves all adapters of a composition out of the layers below `depth`."""

    part: "Composition"
    depth: int

    def __post_init__(self) -> None:
        if self.depth < 0:
            raise ConfigurationError(f"expected a drop depth of 0 or more, got {self.depth}")
        paths(self)


Composition = str | Drop | Stack | Parallel | Fuse | None


def paths(composition: Composition) -> tuple[Path, ...]:
    """Returns the paths of a composition, in the order of its results.

    Raises ConfigurationError if the nesting has no meaning.
    """
    match composition:
        case None:
            return ((),)
        case str(name):
            if not name:
                raise ConfigurationError("expected the name of an adapter, got ''")
            return ((Leaf(name),),)
        case Drop(part, depth):
            return tuple(_dropped(path, depth) for path in paths(part))
        case Parallel(parts=parts):
            return tuple(path for part in parts for path in paths(part))
        case Stack(parts=parts):
            return _stacked(composition, parts)
        case Fuse(parts=parts):
            fused = tuple(_fused(composition, part) for part in parts)
            if repeated := _first_repeated([leaf.name for leaf in fused]):
                raise ConfigurationError(f"{composition!r} fuses {repeated!r} twice")
            return ((Fusion(tuple(leaf.name for leaf in fused), fused),),)
    raise ConfigurationError(f"expected an adapter's name, Stack, Parallel, Fuse, Drop or None, got {composition!r}")


def _stacked(stack: Stack, parts: Sequence[Composition]) -> tuple[Path, ...]:
    below: tuple[Path, ...] = ((),)
    for part in parts:
        above = paths(part)
        if len(below) > 1 and len(above) > 1:
            raise ConfigurationError(
                f"{stack!r} puts a Parallel of {len(above)} on one of {len(below)}; "
                f"say which belong together: Parallel(Stack(...), Stack(...))"
            )
        below = tuple(lower + upper for lower in below for upper in above)
    for path in below:
        if repeated := _first_repeated([step.name for step in path if isinstance(step, Leaf)]):
            raise ConfigurationError(f"{stack!r} applies {repeated!r} twice to the same row")
    return below


def _first_repeated(names: Sequence[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _fused(fuse: Fuse, part: Composition) -> Leaf:
    branches = paths(part)
    if len(branches) > 1:
        raise ConfigurationError(
            f"{fuse!r} fuses a Parallel, which gives {len(branches)} results; name its parts one by one"
        )
    match branches[0]:
        case ():
            raise ConfigurationError(f"{fuse!r} fuses None, which has no output of its own")
        case (Leaf() as leaf,):
            return leaf
        case (Fusion(),):
            raise ConfigurationError(f"{fuse!r} fuses a Fuse; name its adapters in one Fuse")
    raise ConfigurationError(
        f"{fuse!r} fuses a Stack, whose adapters read different inputs; put what is shared below: Stack(..., Fuse(...))"
    )


def _dropped(path: Path, depth: int) -> Path:
    return _map_leaves(path, lambda leaf: Leaf(leaf.name, max(depth, leaf.depth)))


def _map_leaves(path: Path, change: Callable[[Leaf], Leaf]) -> Path:
    return tuple(
        change(step) if isinstance(step, Leaf) else Fusion(step.names, tuple(map(change, step.leaves))) for step in path
    )


def leaves(path: Path) -> Iterator[Leaf]:
    """Yields all adapters of a path, including those inside fusions."""
    for step in path:
        yield from (step,) if isinstance(step, Leaf) else step.leaves


def active(path: Path, layer: int) -> Path:
    """Returns the part of a path that acts in a layer: each adapter whose depth is at most `layer`, alone or in a
    fusion."""
    kept: list[Step] = []
    for step in path:
        if isinstance(step, Leaf):
            kept += [step] if step.depth <= layer else []
        else:
            acting = tuple(leaf for leaf in step.leaves if leaf.depth <= layer)
            kept += [Fusion(step.names, acting)] if acting else []
    return tuple(kept)


@dataclass(frozen=True)
class Stage:
    """Consecutive layers with the same rows.

    source: for each row, its index in the stage below, or in the batch for the first stage. Within the first layer of
    the stage the rows are replicated at the place of the first adapter. steps: for each row, the steps that act on it.
    Rows with the same steps are neighbours, in an order that depends on the steps alone; rows without steps come last.
    """

    layers: range
    source: tuple[int, ...]
    steps: tuple[Path, ...]


@dataclass(frozen=True)
class Plan:
    """The stages that a batch goes through.

    results: for each row of the batch, the indices of its paths in the last stage.
    """

    stages: tuple[Stage, ...]
    results: tuple[tuple[int, ...], ...]


def plan(compositions: Sequence[Composition], layers: int, depths: Mapping[str, int] | None = None) -> Plan:
    """Plans the stages of a batch; a row is replicated in the first layer where its paths differ (arXiv:2010.11918,
    section 3).

    compositions: one for each row of the batch. layers: the number of layers. depths: for each adapter, the first layer
    that it has weights for; 0 for an adapter that is not named.

    Raises ConfigurationError if a depth is greater than `layers`.
    """
    trained = depths or {}
    unfolded = [
        (row, _map_leaves(path, lambda leaf: Leaf(leaf.name, max(leaf.depth, trained.get(leaf.name, 0)))))
        for row, composition in enumerate(compositions)
        for path in paths(composition)
    ]
    depths_used = {leaf.depth for _, path in unfolded for leaf in leaves(path)}
    if (deepest := max(depths_used, default=0)) > layers:
        raise ConfigurationError(f"expected a drop depth of 0 to {layers}, the number of layers, got {deepest}")
    at = [row for row, _ in unfolded]
    stages: list[Stage] = []
    starts = sorted({0, *depths_used} - {layers})
    for start, end in pairwise((*starts, layers)):
        acting = [active(path, start) for _, path in unfolded]
        rows = _sorted(list(dict.fromkeys(zip(at, acting, strict=True))))
        place = {row: new for new, row in enumerate(rows)}
        at = [place[row] for row in zip(at, acting, strict=True)]
        source, steps = tuple(row for row, _ in rows), tuple(path for _, path in rows)
        stages.append(Stage(range(start, end), source, steps))
    results: list[list[int]] = [[] for _ in compositions]
    for end, (row, _) in zip(at, unfolded, strict=True):
        results[row].append(end)
    return Plan(tuple(stages), tuple(map(tuple, results)))


def _sorted(rows: list[tuple[int, Path]]) -> list[tuple[int, Path]]:
    """Groups rows with equal steps and puts rows without steps last.

    The same adapters always come in the same order: they then keep neighbouring slots, and their weights are used in
    place.
    """
    return sorted(rows, key=lambda row: (not row[1], str(row[1])))
