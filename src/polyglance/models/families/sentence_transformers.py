"""Models of sentence-transformers as stages of a search: `st:NAME`. The library is imported when one is loaded.

It reads texts and pictures by its own means here; what a library keeps of either is the vector alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor, nn

from polyglance.errors import CheckpointError, ConfigurationError, reason_of
from polyglance.kernels.processor import native_dtype
from polyglance.languages import KNOWN
from polyglance.models.huggingface.components import fingerprint, fitted, quiet, vector_of
from polyglance.models.huggingface.download import checkpoint_folder, read_json
from polyglance.models.protocol import ImageBatch, TextBatch
from polyglance.nn.encoder import unit
from polyglance.nn.states import TokenStates
from polyglance.text import collapse_white_space
from polyglance.types import Modality, Task

PREFIX: Final = "st:"
_SIDE: Final = 448
"""Of the square that pictures are fitted into for a model that takes them in any size."""
_BATCH: Final = 32


class SentenceEmbedder:
    """An embedding model as a `JointModel` that embeds and nothing else.

    Texts are read as queries and pictures as documents, with the prompts that the model has for these. Its states are
    one token that says nothing, beside the vector. A `TextBatch` of it holds characters, which are made tokens where
    they are read.
    """

    tasks: tuple[Task, ...] = ("embed",)
    answers: tuple[str, ...] = ()
    languages = KNOWN
    calibration: tuple[float, float] = (1.0, 0.0)
    recall_by_depth: tuple[float, ...] = ()

    def __init__(self, model: Any, name: str, fingerprint: str) -> None:
        """model: a `SentenceTransformer`. Raises ConfigurationError for one that does not read texts and pictures."""
        if unread := [kind for kind in ("text", "image") if not model.supports(kind)]:
            raise ConfigurationError(
                f"expected a model that embeds texts and pictures, got {name}, which reads no {unread[0]}s"
            )
        self.model, self.name, self.fingerprint = model, name, fingerprint
        processor = getattr(model.processor, "image_processor", model.processor)
        self._processor = processor if _has_one_size(processor) else None
        self.embedding_dim = self.embed(self.read_text(self.tokenize(["a"]))).shape[1]

    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        texts = list(map(collapse_white_space, texts))
        longest = max(1, *map(len, texts))
        ids = torch.tensor([[*map(ord, text), *[0] * (longest - len(text))] for text in texts])
        return TextBatch(ids, torch.tensor([[column < len(text) for column in range(longest)] for text in texts]))

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        """As its own preprocessor scales and crops it; where that takes any size, fitted onto a white square."""
        if self._processor is not None:
            return fitted(self._processor, image)
        square = ImageOps.pad(image, (_SIDE, _SIDE), Image.Resampling.BICUBIC, "white")
        return np.asarray(square).transpose(2, 0, 1).copy()

    def read_text(self, batch: TextBatch) -> TokenStates:
        texts = ["".join(map(chr, ids[mask].tolist())) for ids, mask in zip(batch.ids, batch.mask, strict=True)]
        # As values of dictionaries: a bare text that looks like the address of a picture would be opened
        return self._read(self.model.encode_query, [{"text": text} for text in texts], "text")

    def read_images(self, batch: ImageBatch) -> TokenStates:
        pixels = batch.pixels.permute(0, 2, 3, 1).cpu().numpy()
        images = [{"image": Image.fromarray(picture)} for picture in pixels]
        return self._read(self.model.encode_document, images, "image")

    def _read(self, encode: Any, inputs: Sequence[object], modality: Modality) -> TokenStates:
        made = encode(inputs, batch_size=_BATCH, show_progress_bar=False, convert_to_tensor=True)
        vectors = unit(made.clone())  # out of inference mode
        nothing = torch.zeros(len(vectors), 1, 1, device=vectors.device)
        return TokenStates(nothing, torch.ones_like(nothing[..., 0], dtype=torch.bool), modality, vectors)

    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        return vector_of(states, self.name)

    def match(self, text: TokenStates, images: TokenStates, depth: int = 0) -> Float[Tensor, " pairs"]:
        raise ConfigurationError(f"{self.name} cannot match: it was trained to embed")

    def answer(self, text: TokenStates, images: TokenStates) -> Float[Tensor, "pairs answers"]:
        raise ConfigurationError(f"{self.name} cannot answer: it was trained to embed")


class SentenceScorer:
    """A cross-encoder as a `PairScorer`."""

    def __init__(self, model: Any, name: str) -> None:
        """model: a `CrossEncoder`. Raises ConfigurationError for one that does not give pairs of a text and a picture
        one score."""
        if not (model.supports("image") and model.supports("message")):
            raise ConfigurationError(
                f"expected a cross-encoder for pairs of a text and a picture, got {name}, which reads "
                f"{', '.join(kind for kind in model.modalities if isinstance(kind, str))}"
            )
        if model.num_labels != 1:
            raise ConfigurationError(f"expected a cross-encoder of one score, got {name} with {model.num_labels}")
        self.model, self.name = model, name

    def score(self, texts: Sequence[str], images: Sequence[Image.Image]) -> Float[Tensor, " pairs"]:
        read = map(collapse_white_space, texts)
        pairs = [({"text": text}, {"image": image}) for text, image in zip(read, images, strict=True)]
        scores: Tensor = self.model.predict(
            pairs,
            batch_size=_BATCH,
            show_progress_bar=False,
            activation_fn=nn.Identity(),
            convert_to_tensor=True,
        )
        return scores.float().clone()  # out of inference mode


def load_embedder(name: str, dtype: torch.dtype | None = None) -> SentenceEmbedder:
    """`st:NAME`, the embedding model NAME: a folder or a name on the hub. dtype: as of `load_folder`.

    Raises:
        ConfigurationError: there is no such model, it does not read pictures, or the library is not installed.
        CheckpointError: its files cannot be used.
    """
    folder = _folder(name, "sentence-transformers")
    return SentenceEmbedder(_loaded("SentenceTransformer", folder, name, dtype), name, fingerprint(folder))


def load_scorer(name: str, dtype: torch.dtype | None = None) -> SentenceScorer:
    """`st:NAME`, the cross-encoder NAME; otherwise as `load_embedder`."""
    return SentenceScorer(_loaded("CrossEncoder", _folder(name, "cross-encoder"), name, dtype), name)


def _folder(name: str, owner: str) -> Path:
    """owner: on the hub, of a model without one."""
    where = name.removeprefix(PREFIX)
    return checkpoint_folder(where if "/" in where or Path(where).is_dir() else f"{owner}/{where}", nested=True)


def _loaded(kind: str, folder: Path, name: str, dtype: torch.dtype | None) -> Any:
    try:
        import sentence_transformers
    except ImportError as error:
        raise ConfigurationError(
            f"{name} needs sentence-transformers, which is not installed: "
            "pip install 'polyglance[sentence-transformers]'"
        ) from error
    about = folder / "config_sentence_transformers.json"
    written = read_json(folder, about.name).get("model_type", kind) if about.exists() else kind
    if written != kind:
        raise ConfigurationError(f"expected a {kind} of sentence-transformers, got {name}, which is a {written}")
    settings = {"use_safetensors": True, "dtype": dtype or native_dtype()}
    try:
        with quiet():
            return getattr(sentence_transformers, kind)(
                str(folder), device="cpu", local_files_only=True, trust_remote_code=False, model_kwargs=settings
            )
    except Exception as error:  # of any kind, for files that are torn, missing or of another kind of model
        raise CheckpointError(f"{name} cannot be used by sentence-transformers: {reason_of(error)}") from error


def _has_one_size(processor: Any) -> bool:
    """Whether pictures of all shapes are made arrays of one shape."""
    try:
        shapes = {fitted(processor, Image.new("RGB", size)).shape for size in ((48, 32), (32, 64))}
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return len(shapes) == 1 and len(shapes.pop()) == 3
