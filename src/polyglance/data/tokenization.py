"""Subword tokenizers: one of our own for all languages, byte-level BPE within words, and those of published models."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray

from polyglance.errors import CheckpointError
from polyglance.text import collapse_white_space

if TYPE_CHECKING:
    from tokenizers import Tokenizer as FastTokenizer

PADDING: Final = "[PAD]"
MASK: Final = "[MASK]"
SPECIAL_TOKENS: Final = (PADDING, MASK)
"""The second is there for masked-language modelling on top of a finished model."""
_PADDINGS: Final = (PADDING, "<pad>")
_MASKS: Final = (MASK, "<mask>")
"""As they are called in published models as well."""
_WORD: Final = r" ?[^\s\p{P}\p{S}\p{Han}]+| ?[\p{P}\p{S}]|\p{Han}"


class Framed:
    """Texts to token ids, with the tokens that a model wants around a text, such as [CLS] and [SEP].

    White space is collapsed first: no model was taught a line break, and each of them would read a text with one as
    another text.
    """

    def __init__(self, fast: "FastTokenizer", padding_id: int) -> None:
        self._fast, self.padding_id = fast, padding_id
        fast.no_padding()
        fast.no_truncation()
        around = fast.encode("a").special_tokens_mask
        self._behind = next((count for count, special in enumerate(reversed(around)) if not special), len(around))

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, uncut, with those around it."""
        return [len(ids) for ids in self._framed(texts)]

    def encode(self, texts: Sequence[str], max_tokens: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(ids, mask), each (texts, tokens): padded to the longest, cut at `max_tokens`; no text is one padding.

        What is cut keeps the tokens behind it. Several texts are padded to a multiple of 8 tokens, so that the model
        meets few different lengths.
        """
        rows = [self._cut(ids, max_tokens) or [self.padding_id] for ids in self._framed(texts)]
        longest = max(map(len, rows))
        if len(rows) > 1:
            longest = min(longest + -longest % 8, max_tokens)
        ids = np.full((len(rows), longest), self.padding_id, np.int64)
        mask = np.zeros(ids.shape, np.bool_)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = True
        return ids, mask

    def _framed(self, texts: Sequence[str]) -> list[list[int]]:
        return self._ids(texts, add_special_tokens=True)

    def _ids(self, texts: Sequence[str], add_special_tokens: bool) -> list[list[int]]:
        collapsed = list(map(collapse_white_space, texts))
        return [encoding.ids for encoding in self._fast.encode_batch(collapsed, add_special_tokens=add_special_tokens)]

    def _cut(self, ids: list[int], most: int) -> list[int]:
        return ids if len(ids) <= most else [*ids[: most - self._behind], *ids[len(ids) - self._behind :]]


class Tokenizer(Framed):
    """One that masked-language modelling can be done with, and that is kept with a model."""

    def __init__(self, fast: "FastTokenizer") -> None:
        """Raises CheckpointError for one without tokens for padding and masks."""
        padding, self.mask_id = (_id(fast, names) for names in (_PADDINGS, _MASKS))
        super().__init__(fast, padding)

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary: int) -> Self:
        """Learns at most `vocabulary` subwords from the texts (BPE: Sennrich et al., arXiv:1508.07909).

        Text is NFKC-normalised and lower-cased; no script is unknown, bytes are the last resort.
        """
        from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers
        from tokenizers import Tokenizer as FastTokenizer

        fast = FastTokenizer(models.BPE())
        fast.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        fast.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_WORD), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        fast.train_from_iterator(map(collapse_white_space, texts), trainer)
        return cls(fast)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote, or the `tokenizer.json` of a published model.

        Raises:
            CheckpointError: there is no such file or it is no tokenizer.
        """
        from tokenizers import Tokenizer as FastTokenizer

        try:
            fast = FastTokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise CheckpointError(f"{path} is not a tokenizer file: {error}") from error
        try:
            return cls(fast)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error

    def save(self, path: Path) -> None:
        self._fast.save(str(path))

    def to_json(self) -> str:
        """What `save` writes."""
        return str(self._fast.to_str())

    @property
    def vocabulary(self) -> int:
        """How many rows a table of embeddings needs."""
        return int(max(self._fast.get_vocab().values(), default=-1)) + 1

    def subwords(self) -> list[str]:
        """What each id stands for, as it stands in a text; bytes that are no letter alone are lost."""
        from tokenizers import decoders

        decoder = decoders.ByteLevel()
        return ["" if name in SPECIAL_TOKENS else decoder.decode([name]) for name in self._names()]

    def spell(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without tokens around it."""
        return self._ids(texts, add_special_tokens=False)

    def spell_subwords(self, other: "Tokenizer") -> list[list[int]]:
        """The ids that spell each subword of another one, byte by byte where need be; none for a special token."""
        model = self._fast.model
        return [
            [] if name in SPECIAL_TOKENS else [token.id for token in model.tokenize(name)] for name in other._names()
        ]

    def _names(self) -> list[str]:
        """Of the ids in their order."""
        names = {index: name for name, index in self._fast.get_vocab().items()}
        return [names[index] for index in range(len(names))]


def _id(fast: "FastTokenizer", names: Sequence[str]) -> int:
    found = next((index for name in names if (index := fast.token_to_id(name)) is not None), None)
    if found is None:
        raise CheckpointError(f"expected a tokenizer with a token {' or '.join(names)}, got one without")
    return found
