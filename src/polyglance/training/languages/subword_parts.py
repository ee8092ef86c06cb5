"""Embeddings that learn through the parts of their subwords: what is learned of a part holds wherever it stands.

A few hundred translations hold few of a language's subwords, and say nothing of the others, whose stems and endings
they share. As a sum over its parts, as of fastText's n-grams (Bojanowski et al., arXiv:1607.04606), an embedding moves
with every sentence that has one of them. The parts are the subwords of a coarser tokenizer of the same sentences.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from polyglance.data.tokenization import Tokenizer
from polyglance.models.added_language import Language


@contextmanager
def through_parts(language: Language, coarser: Tokenizer) -> Iterator[None]:
    """Inside, what is learned of the language's embeddings is learned of the parts of its subwords; then they are a
    table as before. Nothing differs where the language has no subwords of its own."""
    embedding, tokenizer = language.embedding, language.tokenizer
    if embedding is None or tokenizer is None:
        yield
        return
    embedding.weight.requires_grad_(False)
    spelled = coarser.spell_subwords(tokenizer)
    parametrize.register_parametrization(embedding, "weight", _Sum(spelled, coarser.vocabulary, embedding.weight))
    try:
        yield
    finally:
        parametrize.remove_parametrizations(embedding, "weight", leave_parametrized=True)
        embedding.weight.requires_grad_(True)


class _Sum(nn.Module):
    """The embeddings as they were, and for each the sum of its parts, less the more it has: divided by their root, so
    that it moves as far as others."""

    spelling: Tensor

    def __init__(self, spelled: Sequence[Sequence[int]], parts: int, weight: Float[Tensor, "vocabulary width"]) -> None:
        super().__init__()
        spelling = weight.new_zeros(len(spelled), parts)
        for row, ids in enumerate(spelled):
            for part in ids:
                spelling[row, part] += len(ids) ** -0.5
        self.register_buffer("spelling", spelling, persistent=False)
        self.of_parts = nn.Parameter(weight.new_zeros(parts, weight.shape[1]))

    def forward(self, weight: Float[Tensor, "vocabulary width"]) -> Float[Tensor, "vocabulary width"]:
        return weight + self.spelling @ self.of_parts
