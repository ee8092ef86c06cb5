"""Which adapters act on a row of a batch, and in which order: small hashable values.

    "vqa"                                 one adapter
    Stack("de", "vqa")                    the language's, then the task's (MAD-X, arXiv:2005.00052)
    Parallel("verify", "count")           each by itself over the same input, at once (arXiv:2010.11918, section 3)
    Fuse("verify", "count", "match")      their outputs mixed by AdapterFusion (arXiv:2005.00247)
    Drop("vqa", 5)                        left out of the first five layers (AdapterDrop, arXiv:2010.11918)
    None                                  the model as it is

They nest wherever that has a meaning. A composition unfolds into *paths*, one for each result that it gives: what is
stacked on a `Parallel` is applied to each of its branches.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

from polyglance.errors import ConfigurationError


@dataclass(frozen=True)
class Leaf:
    """One adapter in the layers from `depth` on."""

    name: str
    depth: int = 0


@dataclass(frozen=True)
class Fusion:
    """Several adapters over one input, their outputs mixed: those of `names` that are there, as the fusion of all of
    them was learned."""

    names: tuple[str, ...]
    leaves: tuple[Leaf, ...]


Step = Leaf | Fusion
Path = tuple[Step, ...]
"""What is applied to one row, first to last."""


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
    """One after the other, within each layer."""


class Parallel(_Composition):
    """Side by side over the same input: one result for each part."""


class Fuse(_Composition):
    """Side by side over the same input, and mixed into one result."""


@dataclass(frozen=True)
class Drop:
    """A composition whose adapters are all left out of the layers below `depth`."""

    part: "Composition"
    depth: int

    def __post_init__(self) -> None:
        if self.depth < 0:
            raise ConfigurationError(f"expected a drop depth of 0 or more, got {self.depth}")
        paths(self)


Composition = str | Drop | Stack | Parallel | Fuse | None


def paths(composition: Composition) -> tuple[Path, ...]:
    """The paths of a composition, in the order of its results.

    Raises ConfigurationError for a nesting that has no meaning.
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
            if twice := _twice([leaf.name for leaf in fused]):
                raise ConfigurationError(f"{composition!r} fuses {twice!r} twice")
            return ((Fusion(tuple(leaf.name for leaf in fused), fused),),)
    raise ConfigurationError(f"expected an adapter's name, Stack, Parallel, Fuse, Drop or None, got {composition!r}")


def _stacked(stack: Stack, parts: Sequence[Composition]) -> tuple[Path, ...]:
    found: tuple[Path, ...] = ((),)
    for part in parts:
        above = paths(part)
        if len(found) > 1 and len(above) > 1:
            raise ConfigurationError(
                f"{stack!r} puts a Parallel of {len(above)} on one of {len(found)}; "
                f"say which belong together: Parallel(Stack(...), Stack(...))"
            )
        found = tuple(below + path for below in found for path in above)
    for path in found:
        if twice := _twice([step.name for step in path if isinstance(step, Leaf)]):
            raise ConfigurationError(f"{stack!r} applies {twice!r} twice to the same row")
    return found


def _twice(names: Sequence[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _fused(fuse: Fuse, part: Composition) -> Leaf:
    found = paths(part)
    if len(found) > 1:
        raise ConfigurationError(f"{fuse!r} fuses a Parallel, which gives {len(found)} results; name them one by one")
    match found[0]:
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
    """All adapters of a path, those of fusions among them."""
    for step in path:
        yield from (step,) if isinstance(step, Leaf) else step.leaves


def active(path: Path, layer: int) -> Path:
    """What of a path acts in a layer: adapters whose depth is reached, and fusions of those that are there."""
    kept: list[Step] = []
    for step in path:
        if isinstance(step, Leaf):
            kept += [step] if step.depth <= layer else []
        else:
            there = tuple(leaf for leaf in step.leaves if leaf.depth <= layer)
            kept += [Fusion(step.names, there)] if there else []
    return tuple(kept)


@dataclass(frozen=True)
class Stage:
    """Consecutive layers with the same rows.

    source: for each row its row in the stage below (in the batch, for the first stage); in the first layer the rows
    come into being where the first adapter acts, and no earlier. steps: for each row what acts on it. Rows with the
    same steps are neighbours, in an order that steps alone decide; those without any come last.
    """

    layers: range
    source: tuple[int, ...]
    steps: tuple[Path, ...]


@dataclass(frozen=True)
class Plan:
    """A batch's way through the layers. results: for each row, for each of its paths, the row of the last stage."""

    stages: tuple[Stage, ...]
    results: tuple[tuple[int, ...], ...]


def plan(compositions: Sequence[Composition], layers: int, depths: Mapping[str, int] | None = None) -> Plan:
    """Rows are replicated in the first layer where their paths differ and nowhere before (arXiv:2010.11918, section 3).

    compositions: one a row of the batch. depths: the first layer for which an adapter has weights, 0 if not named.
    Raises ConfigurationError for a depth that no layer reaches.
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
    """Rows with equal steps side by side, rows without steps last. The same adapters always come in the same order:
    they then keep to slots that follow each other, and their weights are used where they are."""
    return sorted(rows, key=lambda row: (not row[1], str(row[1])))
