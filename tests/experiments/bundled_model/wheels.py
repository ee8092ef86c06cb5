"""A wheel of word lists as `wordfreq` has them, for tests."""

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import ZipFile

import msgpack


def write_words(folder: Path, buckets: Mapping[str, Sequence[Sequence[str]]]) -> Path:
    """Writes a wheel and returns its path. buckets: of each language, its words, each a hundredth of a decade rarer."""
    path = folder / "wordfreq-3.1.1-py3-none-any.whl"
    with ZipFile(path, "w") as wheel:
        for language, words in buckets.items():
            packed = gzip.compress(msgpack.packb([{"format": "cB", "version": 1}, *words]))
            for size in ("large", "small"):
                wheel.writestr(f"wordfreq/data/{size}_{language}.msgpack.gz", packed)
    return path
