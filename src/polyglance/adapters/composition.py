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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from polyglance.errors import ConfigurationError


@dataclass(frozen=True)
class Leaf:
    """One adapter in the layers from `depth` on."""

    name: str
    depth: int = 0


@dataclass(frozen=True)
class Fusion:
    """Several chains of adapters over one input, their outputs mixed."""

    chains: tuple[tuple[Leaf, ...], ...]


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
            return ((Fusion(tuple(_chain(composition, part) for part in parts)),),)
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
        names = [step.name for step in path if isinstance(step, Leaf)]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ConfigurationError(f"{stack!r} applies {min(twice)!r} twice to the same row")
    return found


def _chain(fuse: Fuse, part: Composition) -> tuple[Leaf, ...]:
    found = paths(part)
    if len(found) > 1:
        raise ConfigurationError(f"{fuse!r} fuses a Parallel, which gives {len(found)} results; name them one by one")
    if not found[0]:
        raise ConfigurationError(f"{fuse!r} fuses None, which has no output of its own")
    leaves = tuple(step for step in found[0] if isinstance(step, Leaf))
    if len(leaves) < len(found[0]):
        raise ConfigurationError(f"{fuse!r} fuses a Fuse; name its adapters in one Fuse")
    return leaves


def _dropped(path: Path, depth: int) -> Path:
    def leaf(one: Leaf) -> Leaf:
        return Leaf(one.name, max(depth, one.depth))

    return tuple(
        leaf(step) if isinstance(step, Leaf) else Fusion(tuple(tuple(map(leaf, chain)) for chain in step.chains))
        for step in path
    )


def active(path: Path, layer: int) -> Path:
    """What of a path acts in a layer: adapters whose depth is reached, and fusions of those that are there."""
    kept: list[Step] = []
    for step in path:
        if isinstance(step, Leaf):
            kept += [step] if step.depth <= layer else []
        else:
            chains = (tuple(leaf for leaf in chain if leaf.depth <= layer) for chain in step.chains)
            there = tuple(chain for chain in chains if chain)
            kept += [Fusion(there)] if there else []
    return tuple(kept)


@dataclass(frozen=True)
class LayerPlan:
    """What one layer does. Each of its rows comes from row `source[i]` of the layer below and gets `steps[i]`."""

    source: tuple[int, ...]
    steps: tuple[Path, ...]


@dataclass(frozen=True)
class Plan:
    """A batch's way through the layers. results: for each row, for each of its paths, the row of the last layer."""

    layers: tuple[LayerPlan, ...]
    results: tuple[tuple[int, ...], ...]


def plan(compositions: Sequence[Composition], layers: int) -> Plan:
    """Rows are replicated in the first layer where their paths differ and nowhere before (arXiv:2010.11918, section 3).

    compositions: one a row of the batch. Raises ConfigurationError for a depth that no layer reaches.
    """
    unfolded = [(row, path) for row, composition in enumerate(compositions) for path in paths(composition)]
    for _, path in unfolded:
        for depth in _depths(path):
            if depth > layers:
                raise ConfigurationError(f"expected a drop depth of 0 to {layers}, the number of layers, got {depth}")
    at = [row for row, _ in unfolded]
    planned = []
    for layer in range(layers):
        rows: dict[tuple[int, Path], int] = {}
        at = [
            rows.setdefault((below, active(path, layer)), len(rows))
            for below, (_, path) in zip(at, unfolded, strict=True)
        ]
        planned.append(LayerPlan(tuple(below for below, _ in rows), tuple(steps for _, steps in rows)))
    results: list[list[int]] = [[] for _ in compositions]
    for end, (row, _) in zip(at, unfolded, strict=True):
        results[row].append(end)
    return Plan(tuple(planned), tuple(map(tuple, results)))


def _depths(path: Path) -> list[int]:
    leaves = (leaf for step in path for leaf in ((step,) if isinstance(step, Leaf) else sum(step.chains, ())))
    return [leaf.depth for leaf in leaves]
