"""What is searched in an evaluation: the texts and pictures of one language, and which fits which."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from polyglance.data.captions import Caption, of_split
from polyglance.data.lines import Split
from polyglance.errors import DataError

Direction = Literal["text_to_image", "image_to_text"]


@dataclass(frozen=True)
class Pool:
    """fits: for each text the places in `images` of the pictures that it fits, its own first."""

    language: str
    texts: tuple[str, ...]
    images: tuple[Path, ...]
    fits: tuple[tuple[int, ...], ...]

    def queries(self, direction: Direction) -> int:
        return len(self.texts if direction == "text_to_image" else self.images)

    def items(self, direction: Direction) -> int:
        return len(self.images if direction == "text_to_image" else self.texts)

    def right(self, direction: Direction) -> tuple[frozenset[int], ...]:
        """For each query the places of the items that fit it."""
        if direction == "text_to_image":
            return tuple(map(frozenset, self.fits))
        return self._texts_of

    def folds(self, count: int) -> "tuple[Pool, ...]":
        """Parts with equally many pictures each, in their order, as COCO's 5,000 are measured in five.

        Raises DataError where they cannot be equal.
        """
        if count < 1 or len(self.images) % count:
            raise DataError(f"expected {len(self.images):,} pictures in {count} equal folds, which cannot be")
        size = len(self.images) // count
        return tuple(self._part(range(start, start + size)) for start in range(0, len(self.images), size))

    def _part(self, images: range) -> "Pool":
        there = [
            (text, tuple(image - images.start for image in fits if image in images))
            for text, fits in zip(self.texts, self.fits, strict=True)
            if fits[0] in images
        ]
        texts, fits = zip(*there, strict=True)
        return Pool(self.language, texts, self.images[images.start : images.stop], fits)

    @cached_property
    def _texts_of(self) -> tuple[frozenset[int], ...]:
        found: list[set[int]] = [set() for _ in self.images]
        for text, there in enumerate(self.fits):
            for image in there:
                found[image].add(text)
        return tuple(map(frozenset, found))


def pools(captions: Sequence[Caption], split: Split, languages: Sequence[str] = ()) -> tuple[Pool, ...]:
    """A pool a language, in the order of the captions. languages: those wanted, all if none is named.

    Raises DataError for a split without captions, and for a language that has none.
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
