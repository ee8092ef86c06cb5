"""Embeddings of subwords that are trained through shared parts.

A few hundred translations contain few of a language's subwords and say nothing about the others, although these share
stems and endings with them. An embedding that is a sum over parts, as over the n-grams of fastText (Bojanowski et al.,
arXiv:1607.04606), changes with every sentence that contains one of its parts. The parts are the subwords of a coarser
tokenizer trained on the same sentences.
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
    """A context in which a language's embeddings are trained through the parts of its subwords.

    They are an ordinary table again afterwards. Nothing changes if the language has no subwords of its own.

    coarser: the tokenizer with the parts.
    """
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
    """Adds the sum of a subword's parts to its embedding.

    The sum is divided by the square root of the number of parts, so that all embeddings change equally fast.
    """

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
