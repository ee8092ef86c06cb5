"""One subword tokenizer for all languages: byte-level BPE within words, each Han character apart."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray

from polyglance.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Tokenizer as FastTokenizer

PADDING: Final = "[PAD]"
MASK: Final = "[MASK]"
SPECIAL_TOKENS: Final = (PADDING, MASK)
"""The second is there for masked-language modelling on top of a finished model."""
_WORD: Final = r" ?[^\s\p{P}\p{S}\p{Han}]+| ?[\p{P}\p{S}]|\p{Han}"


class Tokenizer:
    """Texts to token ids. Text is NFKC-normalised and lower-cased; no script is unknown, bytes are the last resort."""

    def __init__(self, fast: "FastTokenizer") -> None:
        self._fast = fast
        self.padding_id, self.mask_id = SPECIAL_TOKENS.index(PADDING), SPECIAL_TOKENS.index(MASK)

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary: int) -> Self:
        """Learns at most `vocabulary` subwords from the texts (BPE: Sennrich et al., arXiv:1508.07909)."""
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
        fast.train_from_iterator(texts, trainer)
        return cls(fast)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            CheckpointError: there is no such file or it is no tokenizer.
        """
        from tokenizers import Tokenizer as FastTokenizer

        try:
            return cls(FastTokenizer.from_file(str(path)))
        except Exception as error:  # the library raises bare Exception
            raise CheckpointError(f"{path} is not a tokenizer file: {error}") from error

    def save(self, path: Path) -> None:
        self._fast.save(str(path))

    @property
    def vocabulary(self) -> int:
        return int(self._fast.get_vocab_size())

    def subwords(self) -> list[str]:
        """What each id stands for, as it stands in a text; bytes that are no letter alone are lost."""
        from tokenizers import decoders

        decoder, names = decoders.ByteLevel(), {index: name for name, index in self._fast.get_vocab().items()}
        return ["" if names[index] in SPECIAL_TOKENS else decoder.decode([names[index]]) for index in range(len(names))]

    def spell(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text."""
        return [encoding.ids for encoding in self._fast.encode_batch(list(texts))]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [len(ids) for ids in self.spell(texts)]

    def encode(self, texts: Sequence[str], max_tokens: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(ids, mask), each (texts, tokens): padded to the longest, cut at `max_tokens`; no text is one padding.

        Several texts are padded to a multiple of 8 tokens, so that the model meets few different lengths.
        """
        rows = [ids[:max_tokens] or [self.padding_id] for ids in self.spell(texts)]
        longest = max(map(len, rows))
        if len(rows) > 1:
            longest += -longest % 8
        ids = np.full((len(rows), longest), self.padding_id, np.int64)
        mask = np.zeros(ids.shape, np.bool_)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = True
        return ids, mask
