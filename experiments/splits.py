"""Checks that nothing is measured on what was trained or chosen on."""

from collections.abc import Hashable, Iterable, Mapping

from polyglance.errors import DataError
from polyglance.scenes.sampling import Split, split_of


def require_disjoint(what: str, splits: Mapping[str, Iterable[Hashable]]) -> None:
    """Raises DataError if one item is in two splits.

    what: the word for an item in the error. splits: the items of each, by its name.
    """
    known: dict[Hashable, str] = {}
    for name, items in splits.items():
        for item in items:
            if (other := known.setdefault(item, name)) != name:
                raise DataError(f"expected each {what} in one split, but {item} is in {other} and in {name}")


def require_split(seeds: Iterable[int], *allowed: Split) -> None:
    """Raises DataError if a scene is in none of the allowed splits. seeds: of the scenes."""
    for seed in seeds:
        if (split := split_of(seed)) not in allowed:
            raise DataError(f"expected scenes of the split {' or '.join(allowed)}, but {seed} is in {split}")
