"""What checkpoints in the Hugging Face layout have in common: weights, tokenizer, preprocessor, fingerprint."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile
from typing import Any, Final, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from polyglance.data.tokenization import Framed
from polyglance.errors import CheckpointError, ConfigurationError, reason_of
from polyglance.models.protocol import TextBatch
from polyglance.nn.states import TokenStates

WHAT_COUNTS: Final = (".json", ".safetensors", ".txt", ".model")
"""Suffixes of the files that a model is loaded from."""
_VOCABULARIES: Final = ("tokenizer.json", "vocab.txt", "vocab.json")
_LONGEST: Final = 64
"""The largest aspect ratio of a picture whose shorter side is scaled to a fixed length."""


def fingerprint(folder: Path) -> str:
    """16 hexadecimal digits that name the contents of all files that a model is loaded from, wherever they lie."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in WHAT_COUNTS and path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()} {digest}\n".encode())
    return whole.hexdigest()[:16]


def copy_files(checkpoint: Path, folder: Path) -> None:
    """Copies the files that a model is loaded from. Files that are there already stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in checkpoint.iterdir():
        if path.suffix in WHAT_COUNTS and path.is_file() and not (folder / path.name).exists():
            copyfile(path, folder / path.name)


@contextmanager
def quiet() -> Iterator[None]:
    """transformers says nothing and draws no bars."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def load_network(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    """A model of transformers, of the class `kind`, ready to use.

    Raises CheckpointError for a file that is torn, and for weights that are missing, left over or of another shape.
    """
    network, wrong = read_network(kind, folder, dtype)
    if any(wrong.values()):
        told = "; ".join(f"{len(names)} {what} ({_some(names)})" for what, names in wrong.items() if names)
        raise CheckpointError(
            f"{folder}: expected the weights of {kind.__name__}, and there are {told}: get the files again, or let "
            "`polyglance model import --allow-mismatch` write those anew that fit"
        )
    for (
        weight
    ) in network.parameters():  # into memory of torch's own: of a mapped file, products keep no ordered weights
        weight.data = weight.data.clone()
    return network.eval()


def read_network(kind: Any, folder: Path, dtype: torch.dtype | Literal["auto"]) -> tuple[Any, dict[str, list[str]]]:
    """Loads a model of transformers, and draws missing weights at random.

    Returns:
        The model, and the names of the weights that do not fit, by what is wrong with them.

    Raises:
        CheckpointError: a file is torn.
    """
    try:
        with quiet():
            network, info = kind.from_pretrained(
                folder,
                use_safetensors=True,
                local_files_only=True,
                dtype=dtype,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except Exception as error:  # a torn file or a wrong field raises anything: SafetensorError, KeyError, TypeError ...
        raise CheckpointError(f"{folder} cannot be used: {reason_of(error)}; copy the checkpoint anew") from error
    return network, {
        "missing": sorted(info["missing_keys"]),
        "left over": sorted(info["unexpected_keys"]),
        "of another shape": sorted(name for name, *_ in info["mismatched_keys"]),
    }


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


class PublishedTokenizer(Framed):
    """A checkpoint's own tokenizer, which adds its special tokens around a text."""

    def __init__(self, folder: Path, rows: int, max_tokens: int, lowers: bool = False) -> None:
        """Loads the tokenizer of a checkpoint.

        rows: the number of rows of the embedding. max_tokens: the number of positions. lowers: whether to lower-case
        texts, for a model that was trained on lower-case text with a published tokenizer that may not do so.

        Raises:
            CheckpointError: there is no tokenizer, or it has more subwords than the embedding.
        """
        from transformers import AutoTokenizer, PreTrainedTokenizerFast

        if not any((folder / name).exists() for name in _VOCABULARIES):  # transformers would make an empty one
            raise CheckpointError(f"{folder} holds no tokenizer: expected {' or '.join(_VOCABULARIES)} in it")
        # SigLIP's own class wants SentencePiece's file; the hub has what it comes to as tokenizer.json
        kind: Any = PreTrainedTokenizerFast if (folder / "tokenizer.json").exists() else AutoTokenizer
        try:
            loaded = kind.from_pretrained(folder, local_files_only=True)
            fast = loaded.backend_tokenizer
        except Exception as error:  # as in `load_network`
            raise CheckpointError(f"{folder} holds no tokenizer that can be used: {reason_of(error)}") from error
        padding = loaded.pad_token_id or 0
        subwords = max(loaded.vocab_size, padding + 1, *(index + 1 for index in fast.encode("a").ids))
        if subwords > rows:
            raise CheckpointError(
                f"{folder}: expected a tokenizer of at most {rows} subwords, as the embedding has, got one of "
                f"{subwords}: copy the tokenizer's files of this checkpoint"
            )
        if lowers:
            from tokenizers import normalizers

            fast.normalizer = normalizers.Sequence(
                [normalizers.Lowercase(), *([fast.normalizer] if fast.normalizer else [])]
            )
        super().__init__(fast, padding)
        self.max_tokens = min(max_tokens, loaded.model_max_length)
        self._rows, self._unknown = rows, loaded.unk_token_id or 0

    def read(self, texts: Sequence[str], device: torch.device) -> TextBatch:
        """Encodes texts as `encode` does, cut at the number of positions.

        Tokens beyond the rows of the embedding, which a processor added for pictures, become unknown words.
        """
        ids, mask = (torch.from_numpy(found).to(device) for found in self.encode(texts, self.max_tokens))
        return TextBatch(ids.where(ids < self._rows, self._unknown), mask)

    def decode(self, ids: Sequence[int]) -> str:
        return self._fast.decode(list(ids), skip_special_tokens=True).strip()


class Pixels:
    """A checkpoint's own preprocessor in two halves: one works on 8 bits, in threads, the other on floats.

    Raises:
        CheckpointError: there is no preprocessor.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoImageProcessor

        try:
            self._processor: Any = AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True)
        except Exception as error:  # as in `load_network`
            raise CheckpointError(f"{folder} holds no preprocessor that can be used: {reason_of(error)}") from error

    def fit(self, image: Image.Image) -> NDArray[np.uint8]:
        """Converts an RGB picture to (3, height, width), uint8, of the size in the checkpoint's settings."""
        return fitted(self._processor, image)

    def normalised(
        self, pixels: UInt8[Tensor, "batch 3 height width"], dtype: torch.dtype
    ) -> Float[Tensor, "batch 3 height width"]:
        p = self._processor
        x = pixels.to(torch.float32, copy=True)
        if p.do_rescale:
            x *= p.rescale_factor
        if p.do_normalize:
            mean, std = (torch.tensor(of, device=x.device).view(-1, 1, 1) for of in (p.image_mean, p.image_std))
            x -= mean
            x /= std
        return x.to(dtype)


def fitted(processor: Any, image: Image.Image) -> NDArray[np.uint8]:
    """Returns the output of a preprocessor of transformers for an RGB picture before it computes in floats."""
    width, height = image.size
    if max(width, height) > _LONGEST * min(width, height) and processor.do_center_crop:
        image = ImageOps.fit(image, (min(width, _LONGEST * height), min(height, _LONGEST * width)))
    made = processor(image, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
    pixels: NDArray[np.uint8] = np.ascontiguousarray(made, np.uint8)
    return pixels


def vector_of(states: TokenStates, name: str) -> Float[Tensor, "batch dim"]:
    """Returns the vectors stored with the states of the model `name`, float32.

    Raises:
        ConfigurationError: the states have no vectors.
    """
    if states.vector is None:
        raise ConfigurationError(f"expected states with a vector, as {name} reads them, got some without")
    return states.vector.float()
