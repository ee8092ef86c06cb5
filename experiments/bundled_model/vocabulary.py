"""The subwords of the text side: those of multilingual-e5-small that fifteen languages use, lower-cased."""

import json
import math
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

SPECIAL: Final = ("<pad>", "<unk>", "<mask>")
_SPACE: Final = "\N{LOWER ONE EIGHTH BLOCK}"


def lower_cased(pieces: Sequence[tuple[str, float]]) -> dict[str, tuple[float, list[int]]]:
    """Merges pieces that differ in case alone. Returns, by the lower-cased piece, its score and the merged rows.

    The score is the logarithm of the summed probabilities.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for row, (piece, _) in enumerate(pieces):
        if not (piece.startswith("<") and piece.endswith(">")):
            rows[unicodedata.normalize("NFKC", piece).lower().replace(" ", _SPACE)].append(row)
    return {
        piece: (math.log(sum(math.exp(pieces[row][1]) for row in merged)), merged)
        for piece, merged in rows.items()
        if piece
    }


def unigram(pieces: Mapping[str, float]) -> str:
    """Returns the tokenizer.json of these pieces with their scores, behind the special tokens."""
    vocabulary = [(token, 0.0) for token in SPECIAL] + [(piece, round(score, 2)) for piece, score in pieces.items()]
    normalizer = {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]}
    space = {"type": "Metaspace", "replacement": _SPACE, "prepend_scheme": "always", "split": True}
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": row, "content": token, **special} for row, token in enumerate(SPECIAL)],
            "normalizer": normalizer,
            "pre_tokenizer": space,
            "post_processor": None,
            "decoder": space,
            "model": {"type": "Unigram", "unk_id": SPECIAL.index("<unk>"), "vocab": vocabulary, "byte_fallback": False},
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def most_used(pieces: Mapping[str, float], texts: Iterable[tuple[str, float]], size: int) -> dict[str, float]:
    """Returns the pieces that texts use most, and every letter in them.

    pieces: all pieces with their scores. texts: with their weights. size: of the vocabulary, with special tokens; it is
    larger if there are more letters.
    """
    from tokenizers import Tokenizer

    fast = Tokenizer.from_str(unigram(pieces))
    used: dict[str, float] = defaultdict(float)
    letters: set[str] = set()
    words, weights = zip(*texts, strict=True)
    for encoding, weight in zip(fast.encode_batch(list(words), add_special_tokens=False), weights, strict=True):
        for token in encoding.tokens:
            used[token] += weight
            letters.update(token)
    kept = {piece for piece in letters if piece in pieces}
    for piece in sorted(used, key=lambda piece: -used[piece]):
        if len(kept) >= size - len(SPECIAL):
            break
        if piece in pieces:
            kept.add(piece)
    return {piece: score for piece, score in pieces.items() if piece in kept}


def read_pieces(tokenizer: Path) -> list[tuple[str, float]]:
    """Returns the pieces of a tokenizer.json of the Unigram model, with their scores, by id."""
    model = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]
    return [(piece, score) for piece, score in model["vocab"]]


def begun_from(
    embeddings: Float[Tensor, "subwords teacher"], merged: Sequence[Sequence[int]], width: int
) -> Float[Tensor, "pieces width"]:
    """Returns the embeddings of merged pieces in their first `width` principal directions.

    embeddings: of the teacher. merged: the rows of each piece, whose mean is taken.
    """
    means = torch.stack([embeddings[list(rows)].mean(dim=0) for rows in merged])
    centred = means - means.mean(dim=0)
    directions = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -width:].flip(1)
    return centred @ directions
