"""Models of sentence-transformers as stages of a search: `st:NAME`. The library is imported when one is loaded.

The library preprocesses and reads texts and pictures itself. A polyglance library stores only their vectors.
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
from polyglance.models.huggingface.download import read_json
from polyglance.models.model import Model
from polyglance.models.protocol import Picture
from polyglance.models.sources import find_model
from polyglance.nn.encoder import unit
from polyglance.nn.states import TokenStates
from polyglance.text import collapse_white_space
from polyglance.types import Modality, Task, Text

_SIDE: Final = 448
"""The side, in pixels, of the square that pictures are fitted into for a model that takes any size."""
_BATCH: Final = 32


class SentenceEmbedder(Model):
    """An embedding model. It only embeds.

    Texts are read as queries and pictures as documents, with the model's prompts for these. Its states hold the vector
    and a single token without content.
    """

    tasks: tuple[Task, ...] = ("embed",)
    languages: tuple[str, ...] = KNOWN

    def __init__(self, model: Any, name: str, fingerprint: str) -> None:
        """Wraps a `SentenceTransformer`. Raises ConfigurationError if it does not read both texts and pictures."""
        if unread := [kind for kind in ("text", "image") if not model.supports(kind)]:
            raise ConfigurationError(
                f"expected a model that embeds texts and pictures, got {name}, which reads no {unread[0]}s: "
                "name another; `polyglance model import` makes a model of a text encoder"
            )
        self.model, self.name, self.fingerprint = model, name, fingerprint
        processor = getattr(model.processor, "image_processor", model.processor)
        self._processor = processor if _has_one_size(processor) else None
        self.embedding_dim = self.embed(self.read([Text("a")])).shape[1]

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        """Converts a picture with the model's preprocessor, or fits it onto a white square if that takes any size."""
        if self._processor is not None:
            return fitted(self._processor, image)
        square = ImageOps.pad(image, (_SIDE, _SIDE), Image.Resampling.BICUBIC, "white")
        return np.asarray(square).transpose(2, 0, 1).copy()

    def read(self, inputs: Sequence[Text] | Sequence[Picture]) -> TokenStates:
        # As values of dictionaries: a bare text that looks like the address of a picture would be opened
        texts = [{"text": collapse_white_space(one.text)} for one in inputs if isinstance(one, Text)]
        if texts:
            return self._read(self.model.encode_query, texts, "text")
        pictures = [one.values.transpose(1, 2, 0) for one in inputs if isinstance(one, Picture)]
        images = [{"image": Image.fromarray(pixels.astype(np.uint8, copy=False))} for pixels in pictures]
        return self._read(self.model.encode_document, images, "image")

    def _read(self, encode: Any, inputs: Sequence[object], modality: Modality) -> TokenStates:
        made = encode(inputs, batch_size=_BATCH, show_progress_bar=False, convert_to_tensor=True)
        vectors = unit(made.clone())  # out of inference mode
        nothing = torch.zeros(len(vectors), 1, 1, device=vectors.device)
        return TokenStates(nothing, torch.ones_like(nothing[..., 0], dtype=torch.bool), modality, vectors)

    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        return vector_of(states, self.name)


class SentenceScorer:
    """A `PairScorer` that uses a cross-encoder of sentence-transformers."""

    def __init__(self, model: Any, name: str) -> None:
        """Wraps a `CrossEncoder`.

        Raises:
            ConfigurationError: the model does not give a pair of a text and a picture one score.
        """
        if not (model.supports("image") and model.supports("message")):
            raise ConfigurationError(
                f"expected a cross-encoder for pairs of a text and a picture, got {name}, which reads "
                f"{', '.join(kind for kind in model.modalities if isinstance(kind, str))}"
            )
        if model.num_labels != 1:
            raise ConfigurationError(f"expected a cross-encoder of one score, got {name} with {model.num_labels}")
        self.model, self.name = model, name

    def log_odds(self, texts: Sequence[str], images: Sequence[Image.Image]) -> Float[Tensor, " pairs"]:
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


def load_embedder(name: str, dtype: torch.dtype | None = None, device: torch.device | str = "cpu") -> SentenceEmbedder:
    """Loads an embedding model of sentence-transformers.

    name: `st:NAME`, where NAME is a folder or a name on the hub. dtype: as in `load_folder`. device: the device of the
    weights.

    Raises:
        ConfigurationError: there is no such model, it does not read pictures, or the library is not installed.
        CheckpointError: its files cannot be used.
    """
    found = find_model(name)
    network = _loaded("SentenceTransformer", found.folder, name, dtype, device)
    model = SentenceEmbedder(network, name, fingerprint(found.folder))
    model.source = found.loads_again
    return model


def load_scorer(name: str, dtype: torch.dtype | None = None, device: torch.device | str = "cpu") -> SentenceScorer:
    """Loads a cross-encoder of sentence-transformers. The arguments and errors are those of `load_embedder`."""
    return SentenceScorer(_loaded("CrossEncoder", find_model(name, "cross-encoder").folder, name, dtype, device), name)


def _loaded(kind: str, folder: Path, name: str, dtype: torch.dtype | None, device: torch.device | str) -> Any:
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
                str(folder), device=str(device), local_files_only=True, trust_remote_code=False, model_kwargs=settings
            )
    except Exception as error:  # of any kind, for files that are torn, missing or of another kind of model
        raise CheckpointError(f"{name} cannot be used by sentence-transformers: {reason_of(error)}") from error


def _has_one_size(processor: Any) -> bool:
    """Returns whether the processor converts pictures of all shapes to arrays of one shape."""
    try:
        shapes = {fitted(processor, Image.new("RGB", size)).shape for size in ((48, 32), (32, 64))}
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return len(shapes) == 1 and len(shapes.pop()) == 3
