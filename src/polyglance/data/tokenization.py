"""Subword tokenizers: our own for all languages, a byte-level BPE within words, and those of published models."""

from collections.abc import Iterable, Sequence
from itertools import takewhile
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
"""The second serves masked-language modelling with a trained model."""
_PADDINGS: Final = (PADDING, "<pad>")
_MASKS: Final = (MASK, "<mask>")
"""Names of the mask token, also in published models."""
_WORD: Final = r" ?[^\s\p{P}\p{S}\p{Han}]+| ?[\p{P}\p{S}]|\p{Han}"


class Framed:
    """Encodes texts as token ids with a model's special tokens around them, such as [CLS] and [SEP].

    White space is collapsed first: models are not trained with line breaks and would read them as part of the text.
    """

    def __init__(self, fast: "FastTokenizer", padding_id: int) -> None:
        self._fast, self.padding_id = fast, padding_id
        fast.no_padding()
        fast.no_truncation()
        encoded = fast.encode("a")
        around = encoded.special_tokens_mask
        before = sum(takewhile(bool, around))
        self._behind = sum(takewhile(bool, reversed(around)))
        self.frame = tuple(encoded.tokens[:before]), tuple(encoded.tokens[max(before, len(around) - self._behind) :])
        """The names of the special tokens before and after each text."""

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Returns the number of tokens of each text before truncation, including special tokens."""
        return [len(ids) for ids in self._framed(texts)]

    def encode(self, texts: Sequence[str], max_tokens: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Returns ids and mask, each (texts, tokens), padded to the longest text and truncated to `max_tokens`.

        A truncated text keeps the special tokens after it; no texts give one padding token. Several texts are padded to
        a multiple of 8 tokens, so that the model gets few different lengths.
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
        collapsed = list(map(collapse_white_space, texts))
        return [encoding.ids for encoding in self._fast.encode_batch(collapsed, add_special_tokens=True)]

    def _cut(self, ids: list[int], most: int) -> list[int]:
        return ids if len(ids) <= most else [*ids[: most - self._behind], *ids[len(ids) - self._behind :]]


class Tokenizer(Framed):
    """A tokenizer with padding and mask tokens, which is stored with a model."""

    def __init__(self, fast: "FastTokenizer") -> None:
        """Raises CheckpointError if `fast` has no padding or mask token."""
        padding, self.mask_id = (_id(fast, names) for names in (_PADDINGS, _MASKS))
        super().__init__(fast, padding)

    @classmethod
    def train(
        cls, texts: Iterable[str], vocabulary: int, frame: tuple[Sequence[str], Sequence[str]] = ((), ())
    ) -> Self:
        """Learns at most `vocabulary` subwords from the texts (BPE: Sennrich et al., arXiv:1508.07909).

        Text is NFKC-normalized and lower-cased. Unknown letters are spelled in bytes, so that no script is unknown.

        frame: the names of the special tokens to put before and after each text, as of another tokenizer's `frame`.
        """
        from tokenizers import Regex, models, normalizers, pre_tokenizers, processors, trainers
        from tokenizers import Tokenizer as FastTokenizer

        before, after = frame
        special = [*dict.fromkeys([*SPECIAL_TOKENS, *before, *after])]
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
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        fast.train_from_iterator(map(collapse_white_space, texts), trainer)
        if before or after:
            fast.post_processor = processors.TemplateProcessing(
                single=[*before, "$A", *after], special_tokens=[(name, fast.token_to_id(name)) for name in special]
            )
        return cls(fast)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a file that `save` wrote, or the `tokenizer.json` of a published model.

        Raises:
            CheckpointError: there is no such file, or it is not a tokenizer.
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
        self._fast.save(str(path), pretty=False)

    def to_json(self) -> str:
        """Returns the text that `save` writes."""
        return str(self._fast.to_str())

    @property
    def vocabulary(self) -> int:
        """The number of rows that a table of embeddings needs."""
        return int(max(self._fast.get_vocab().values(), default=-1)) + 1

    @property
    def frame_ids(self) -> dict[str, int]:
        """The ids of the special tokens around each text, by their names."""
        names = (name for part in self.frame for name in part)
        return {name: index for name in names if (index := self._fast.token_to_id(name)) is not None}

    def subwords(self) -> list[str]:
        """Returns the text of each id, with a space before it if it begins a word; special tokens have none. Bytes that
        are not a whole letter are lost."""
        from tokenizers import decoders

        decoder, before = self._fast.decoder or decoders.ByteLevel(), "a"  # some decoders strip the first space
        special = self._special()
        return ["" if name in special else decoder.decode([before, name])[1:] for name in self._names()]

    def spell(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each text without special tokens.

        The texts are pieces of longer ones, such as subwords: white space around them is theirs, and stays.
        """
        return [encoding.ids for encoding in self._fast.encode_batch(list(texts), add_special_tokens=False)]

    def spell_subwords(self, other: "Tokenizer") -> list[list[int]]:
        """Returns the ids that spell each subword of another tokenizer, in bytes if necessary; none for special
        tokens."""
        model, special = self._fast.model, other._special()
        return [[] if name in special else [token.id for token in model.tokenize(name)] for name in other._names()]

    def _special(self) -> set[str]:
        return {*SPECIAL_TOKENS, *self.frame_ids}

    def _names(self) -> list[str]:
        """Returns the tokens in the order of their ids."""
        names = {index: name for name, index in self._fast.get_vocab().items()}
        return [names[index] for index in range(len(names))]


def _id(fast: "FastTokenizer", names: Sequence[str]) -> int:
    found = next((index for name in names if (index := fast.token_to_id(name)) is not None), None)
    if found is None:
        raise CheckpointError(f"expected a tokenizer with a token {' or '.join(names)}, got one without")
    return found
