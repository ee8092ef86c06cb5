"""A tiny file of packed weights, written by the format's description."""

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

WIDTH, LAYERS, HEADS, INNER, ROWS, POSITIONS, TYPES = 32, 2, 4, 64, 6, 5, 2
SUBWORDS = ("<s>", "<pad>", "</s>", "<unk>", "▁星", "é")


def blocks(values: NDArray[np.float32]) -> tuple[bytes, NDArray[np.float32]]:
    """The values in 4 bits, and what these mean."""
    stored, meant = b"", []
    for row in values.reshape(-1, 32):
        scale = np.float16(np.abs(row).max() / 7)
        halves = np.clip(np.round(row / np.float32(scale)) + 8, 0, 15).astype(np.uint8)
        stored += scale.tobytes() + bytes(int(halves[j]) | int(halves[j + 16]) << 4 for j in range(16))
        meant.append([(int(half) - 8) * np.float32(scale) for half in halves])
    return stored, np.array(meant, np.float32).reshape(values.shape)


@dataclass
class File:
    """What a file says; a test changes some of it before the file is written."""

    magic: bytes = b"E5S1"
    version: int = 1
    sizes: list[int] = field(default_factory=lambda: [WIDTH, LAYERS, HEADS, INNER, ROWS, POSITIONS, TYPES])
    block: int = 32
    count: int = len(SUBWORDS)
    text: bytes = "".join(SUBWORDS).encode()
    text_size: int | None = None
    offsets: list[int] = field(
        default_factory=lambda: np.cumsum([0, *(len(word.encode()) for word in SUBWORDS)]).tolist()
    )
    map_size: int = 9
    tensors: int | None = None
    entries: dict[str, list[int]] = field(default_factory=dict)
    """By name: kind, values, offset, bytes, where they are not the true ones."""

    def written(self) -> tuple[bytes, dict[str, NDArray[np.float32]]]:
        stored, meant = packed_tensors()
        data = self.magic + struct.pack("<I7ifi", self.version, *self.sizes, 1e-12, self.block)
        size = len(self.text) if self.text_size is None else self.text_size
        data += struct.pack("<5iQ", self.count, 0, 2, 1, 3, size)
        data += struct.pack(f"<{len(self.offsets)}I", *self.offsets)
        data += struct.pack(f"<{len(SUBWORDS)}f", *range(len(SUBWORDS))) + self.text
        data += struct.pack("<iI", 1, self.map_size) + b"\x41\0\0\0\x01\x61\0\0\0"
        data += struct.pack("<i", len(stored) if self.tensors is None else self.tensors)
        directory = sum(2 + len(name) + 21 for name in stored)
        at = len(data) + directory
        for name, (kind, values, content) in stored.items():
            entry = self.entries.get(name, [kind, values, at, len(content)])
            data += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", *entry)
            at += len(content)
        return data + b"".join(content for _, _, content in stored.values()), meant


def packed_tensors() -> tuple[dict[str, tuple[int, int, bytes]], dict[str, NDArray[np.float32]]]:
    """(kind, number of values, bytes) of each tensor, and its values."""
    random = np.random.default_rng(0)
    shapes = {"emb.word": (ROWS, WIDTH), "emb.pos": (POSITIONS, WIDTH), "emb.type": (TYPES, WIDTH)}
    shapes |= {"emb.ln.w": (WIDTH,), "emb.ln.b": (WIDTH,)}
    for layer in range(LAYERS):
        for part in ("q", "k", "v", "ao", "fi", "fo"):
            outer, inner = {"fi": (INNER, WIDTH), "fo": (WIDTH, INNER)}.get(part, (WIDTH, WIDTH))
            shapes |= {f"l{layer}.{part}.w": (outer, inner), f"l{layer}.{part}.b": (outer,)}
        shapes |= {f"l{layer}.{norm}.{kind}": (WIDTH,) for norm in ("aln", "oln") for kind in "wb"}
    stored, meant = {}, {}
    for name, shape in shapes.items():
        values = random.normal(size=shape).astype(np.float32)
        if len(shape) == 2 and name not in ("emb.pos", "emb.type"):
            content, meant[name] = blocks(values)
            stored[name] = (1, values.size, content)
        else:
            stored[name], meant[name] = (0, values.size, values.tobytes()), values
    return stored, meant
