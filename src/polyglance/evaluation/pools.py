"""What is searched in an evaluation: the texts and pictures of one language, and which fits which."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from polyglance.data.captions import Caption
from polyglance.data.lines import Split
from polyglance.errors import DataError

Direction = Literal["text_to_image", "image_to_text"]


@dataclass(frozen=True)
class Pool:
    """image_of: for each text the place of its picture in `images`."""

    language: str
    texts: tuple[str, ...]
    images: tuple[Path, ...]
    image_of: tuple[int, ...]

    def queries(self, direction: Direction) -> int:
        return len(self.texts if direction == "text_to_image" else self.images)

    def items(self, direction: Direction) -> int:
        return len(self.images if direction == "text_to_image" else self.texts)

    def right(self, direction: Direction) -> tuple[frozenset[int], ...]:
        """For each query the places of the items that fit it."""
        if direction == "text_to_image":
            return tuple(frozenset({image}) for image in self.image_of)
        return self._texts_of

    @cached_property
    def _texts_of(self) -> tuple[frozenset[int], ...]:
        found: list[set[int]] = [set() for _ in self.images]
        for text, image in enumerate(self.image_of):
            found[image].add(text)
        return tuple(map(frozenset, found))


def pools(captions: Sequence[Caption], split: Split, languages: Sequence[str] = ()) -> tuple[Pool, ...]:
    """A pool a language, in the order of the captions. languages: those wanted, all if none is named.

    Raises DataError for a split without captions, and for a language that has none.
    """
    of_split = [one for one in captions if one.split == split]
    there = tuple(dict.fromkeys(one.language for one in of_split))
    if not of_split:
        counts = sorted({one.split for one in captions})
        raise DataError(f"expected captions of the split {split}, but there are only those of {', '.join(counts)}")
    if missing := [language for language in languages if language not in there]:
        raise DataError(f"expected captions in {', '.join(missing)}, but there are only those in {', '.join(there)}")
    return tuple(
        _pool(language, [one for one in of_split if one.language == language]) for language in languages or there
    )


def _pool(language: str, captions: Sequence[Caption]) -> Pool:
    place = {image: number for number, image in enumerate(dict.fromkeys(one.image for one in captions))}
    texts, image_of = tuple(one.caption for one in captions), tuple(place[one.image] for one in captions)
    return Pool(language, texts, tuple(place), image_of)
