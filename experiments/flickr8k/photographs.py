"""The photographs of Flickr8k and what people wrote about them, by language and split."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from experiments.editions.collections import FLICKR8K, require_one_split, shared_data
from polyglance.data.captions import Caption, read_captions
from polyglance.data.lines import Split
from polyglance.evaluation.pools import Pool, pools

LANGUAGES: Final = ("en", "de", "fr", "cs", "zh")
"""French has no test captions."""


@dataclass(frozen=True)
class Photographs:
    """The captions of the official 6,000, 1,000 and 1,000 photographs, by language."""

    captions: dict[str, list[Caption]]

    def of(self, split: Split, languages: Sequence[str]) -> list[Caption]:
        return [one for code in languages for one in self.captions[code] if one.split == split]

    def pool(self, split: Split, language: str) -> Pool:
        """All photographs of the split that have an English caption, with the captions of one language.

        Photographs without a caption in the language are there to be confused with the others.
        """
        (pool,) = pools(self.of(split, [language]), split)
        (whole,) = pools(self.of(split, ["en"]), split)
        row = {image: number for number, image in enumerate(whole.images)}
        fits = tuple(tuple(row[pool.images[one]] for one in there) for there in pool.fits)
        return Pool(language, pool.texts, whole.images, fits)

    def images(self, split: Split) -> tuple[Path, ...]:
        return self.pool(split, "en").images


def read_photographs(folder: Path | None = None, few: int | None = None) -> Photographs:
    """Reads the captions.

    folder: of the captions; None means the data beside the checkout. few: the number of photographs of each split; None
    means all.

    Raises:
        DataError: a file is missing, or a photograph is in two splits.
    """
    folder = folder or shared_data() / FLICKR8K
    captions = {code: read_captions(folder / f"captions.{code}.jsonl") for code in LANGUAGES}
    require_one_split([one for of_language in captions.values() for one in of_language])
    if few:
        kept: set[Path] = set()
        for split in ("train", "val", "test"):
            kept.update(list(dict.fromkeys(one.image for one in captions["en"] if one.split == split))[:few])
        captions = {code: [one for one in there if one.image in kept] for code, there in captions.items()}
    return Photographs(captions)


@dataclass(frozen=True)
class Judgement:
    """What three experts said of a caption and a photograph, each from 1 (unrelated) to 4 (describes it)."""

    image: Path
    caption: str
    scores: tuple[int, ...]


def read_judgements(images: Collection[Path], folder: Path | None = None) -> list[Judgement]:
    """Reads the judgements of some photographs, without those of a photograph's own captions (Hodosh et al. 2013;
    CLIPScore, arXiv:2104.08718)."""
    folder = folder or shared_data() / FLICKR8K
    with (folder / "judgements.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Judgement(folder / row["image"], row["caption"], tuple(row["scores"]))
        for row in rows
        if row["image"] != row["of"] and folder / row["image"] in images
    ]
