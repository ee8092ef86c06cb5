"""Pools of an evaluation: the texts and pictures of one language, and which fit each other."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Literal, get_args

from polyglance.data.captions import Caption, of_split
from polyglance.data.lines import Split
from polyglance.errors import DataError

Direction = Literal["text_to_image", "image_to_text"]


@dataclass(frozen=True)
class Pool:
    """The texts and pictures of one language.

    fits: for each text, the indices in `images` of the pictures that it is true of, its own first.
    """

    language: str
    texts: tuple[str, ...]
    images: tuple[Path, ...]
    fits: tuple[tuple[int, ...], ...]

    def queries(self, direction: Direction) -> int:
        return len(self.texts if direction == "text_to_image" else self.images)

    def items(self, direction: Direction) -> int:
        return len(self.images if direction == "text_to_image" else self.texts)

    def right(self, direction: Direction) -> tuple[frozenset[int], ...]:
        """Returns the indices of the right items for each query."""
        if direction == "text_to_image":
            return tuple(map(frozenset, self.fits))
        return self._texts_of

    def folds(self, count: int) -> "tuple[Pool, ...]":
        """Splits the pool into `count` parts of equally many pictures, in order, as COCO's 5,000 are evaluated in five.

        Raises DataError if the number of pictures is not divisible by `count`.
        """
        if count < 1 or len(self.images) % count:
            raise DataError(f"expected {len(self.images):,} pictures in {count} equal folds, which cannot be")
        size = len(self.images) // count
        return tuple(self._only(range(start, start + size)) for start in range(0, len(self.images), size))

    def without(self, images: Collection[Path]) -> "Pool":
        """Returns the pool without these pictures and their own texts. Raises DataError if nothing would be left."""
        kept = [row for row, image in enumerate(self.images) if image not in images]
        if not kept:
            raise DataError(f"expected pictures in {self.language} to search, but none can be read")
        return self if len(kept) == len(self.images) else self._only(kept)

    def _only(self, images: Sequence[int]) -> "Pool":
        """Returns the pool with only these rows of `images`; each must have its own text."""
        place = {row: new for new, row in enumerate(images)}
        there = [
            (text, tuple(place[image] for image in fits if image in place))
            for text, fits in zip(self.texts, self.fits, strict=True)
            if fits[0] in place
        ]
        texts, fits = zip(*there, strict=True)
        return Pool(self.language, texts, tuple(self.images[row] for row in images), fits)

    @cached_property
    def _texts_of(self) -> tuple[frozenset[int], ...]:
        found: list[set[int]] = [set() for _ in self.images]
        for text, there in enumerate(self.fits):
            for image in there:
                found[image].add(text)
        return tuple(map(frozenset, found))


def chance(measured: Sequence[Pool], directions: Sequence[Direction] = get_args(Direction)) -> tuple[float, int]:
    """Returns the R@1 of random lists in percent, averaged over pools and directions, and the number of queries."""
    shares = [
        fmean(len(right) / pool.items(direction) for right in pool.right(direction))
        for pool in measured
        for direction in directions
    ]
    return 100 * fmean(shares), sum(pool.queries(direction) for pool in measured for direction in directions)


def pools(captions: Sequence[Caption], split: Split, languages: Sequence[str] = ()) -> tuple[Pool, ...]:
    """Makes one pool per language, in the order of the captions. languages: their codes; all by default.

    Raises DataError if the split or a language has no captions.
    """
    wanted = of_split(captions, split)
    there = tuple(dict.fromkeys(one.language for one in wanted))
    if missing := [language for language in languages if language not in there]:
        raise DataError(f"expected captions in {', '.join(missing)}, but there are only those in {', '.join(there)}")
    return tuple(
        _pool(language, [one for one in wanted if one.language == language]) for language in languages or there
    )


def _pool(language: str, captions: Sequence[Caption]) -> Pool:
    place = {image: number for number, image in enumerate(dict.fromkeys(one.image for one in captions))}
    fits = tuple((place[one.image], *(place[other] for other in one.also if other in place)) for one in captions)
    return Pool(language, tuple(one.caption for one in captions), tuple(place), fits)
