"""Words of fifteen languages with their frequencies, from the lists of `wordfreq` (CC BY-SA 4.0)."""

import gzip
import random
import tempfile
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Final

import msgpack

from experiments.weights.packages import Package, fetch, read_member

LANGUAGES: Final = ("en", "de", "pt", "ru", "id", "bn", "ko", "zh", "es", "fr", "ja", "tr", "ar", "hi", "cs")
"""The languages that the text side reads: those of the emoji's names, and Czech."""
_WORDFREQ: Final = Package("wordfreq", "3.1.1", "4b1c6ecffc6198be3396d5cf871c4423ca71c907c231348d352dd54d62b97473")
_LARGE: Final = ("en", "de", "pt", "ru", "bn", "zh", "es", "fr", "ja", "ar", "cs")


def fetch_words(folder: Path) -> Path:
    """Returns the wheel with the lists, and fetches it into `folder` unless it is there."""
    found = sorted(folder.glob(f"{_WORDFREQ.name}-{_WORDFREQ.version}-*.whl"))
    if found:
        return found[0]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as draft:
        wheel = fetch(_WORDFREQ, Path(draft))
        return wheel.replace(folder / wheel.name)


@cache
def frequencies(wheel: Path, language: str, most: int) -> dict[str, float]:
    """Returns the most frequent words of a language and their share of all words of a text.

    The lists give words in buckets of hundredths of a decade.
    """
    size = "large" if language in _LARGE else "small"
    packed = gzip.decompress(read_member(wheel, f"wordfreq/data/{size}_{language}.msgpack.gz"))
    found: dict[str, float] = {}
    for number, bucket in enumerate(msgpack.unpackb(packed)[1:]):
        for word in bucket:
            if len(found) == most:
                return found
            found[word] = 10 ** (-number / 100)
    return found


class Speech:
    """Draws words of a language, frequent ones more often.

    words: with their weights.
    """

    def __init__(self, words: dict[str, float]) -> None:
        self._words: Sequence[str] = list(words)
        self._weights = list(accumulate(words.values()))

    def draw(self, count: int, rng: random.Random) -> list[str]:
        return rng.choices(self._words, cum_weights=self._weights, k=count)
