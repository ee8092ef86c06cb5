"""The public class of all models: it takes texts and images, and returns arrays and answers."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard, cast

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from polyglance.data.images import as_rgb, decode, full_size
from polyglance.errors import ConfigurationError, PictureError, reason_of
from polyglance.languages import AUTO
from polyglance.models.capabilities import as_answerer, as_embedder, as_matcher
from polyglance.models.identity import ModelIdentity
from polyglance.models.protocol import ImageInput, Picture
from polyglance.models.reading import (
    PICTURES,
    TEXTS,
    best_answers,
    language_of,
    matched,
    picture_batches,
    read_pictures,
)
from polyglance.nn.states import TokenStates
from polyglance.types import Answer, Progress, Task, Text

PAIRS: Final = 32
"""The default number of pairs of a text and an image that are read at once."""
_BLANK: Final = Image.new("RGB", (256, 256), "white")


class Model(ABC):
    """The base class of the models that `polyglance.load_model` returns.

    A model embeds, matches or answers, depending on the tasks that it was trained for.

    Attributes:
        name: the name of the model.
        source: the name or folder that `load_model` takes to load the model again; None for a model that was built in
            memory.
        fingerprint: a hash of the weights and the configuration, 16 hexadecimal digits.
        tasks: the tasks among `embed`, `match` and `answer` that the weights were trained for.
        languages: the codes of the languages that the model reads.
        device: the device of the weights.
    """

    name: str
    fingerprint: str
    source: str | None = None
    trainable: bool = False
    side_files: tuple[str, ...] = ()

    @property
    @abstractmethod
    def tasks(self) -> tuple[Task, ...]: ...

    @property
    @abstractmethod
    def languages(self) -> tuple[str, ...]: ...

    @property
    @abstractmethod
    def device(self) -> torch.device: ...

    @abstractmethod
    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        """Converts an RGB picture to the model's input, (3, height, width), uint8. Safe to call in worker threads."""

    @abstractmethod
    def read(self, inputs: Sequence[Text] | Sequence[Picture]) -> TokenStates: ...

    # -- the identity of an input, and opening it --------------------------------------------------------------------

    @property
    def added_languages(self) -> Mapping[str, str]:
        """The languages that were added to the model: the fingerprint of each language's weights, by its code."""
        return {}

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(self.name, self.source, self.fingerprint, self.added_languages, self.side_files)

    def key(self, source: Text | str | os.PathLike[str]) -> str:
        return self.identity.key(source)

    def open(self, image: ImageInput) -> Picture:
        decoded = _decoded(image)
        try:
            return Picture(full_size(decoded), self.preprocess(decoded))
        except Exception as error:
            width, height = decoded.size
            raise PictureError(f"{self.name} cannot take a picture of {width} x {height}: {error}") from error

    def empty_picture(self) -> Picture:
        return self.open(_BLANK)

    # -- what users call ---------------------------------------------------------------------------------------------

    def encode_texts(
        self,
        texts: str | Sequence[str],
        languages: str | Sequence[str] = AUTO,
        batch_size: int = TEXTS,
        progress: Progress | None = None,
    ) -> Float32[np.ndarray, "texts embedding_dim"]:
        """Embeds texts.

        Args:
            texts: one or more texts; a single text is treated as a list of one.
            languages: one code for all texts or one for each, such as `de`; `auto` detects it from the text.
            batch_size: the number of texts that are read at once.
            progress: called with the number of texts that are done and the number of all texts.

        Returns:
            Vectors of unit length, (texts, embedding_dim), float32. The dot product of two is their cosine.

        Raises:
            ConfigurationError: the model was not trained to embed, does not know a language, or a batch is empty.
        """
        model, read = as_embedder(self), self._texts(texts, languages)
        parts = []
        for some in _batches(len(read), batch_size):
            parts.append(_array(model.embed(self.read(read[some]))))
            if progress:
                progress(some.stop, len(read))
        return _stacked(parts, model.embedding_dim)

    def encode_images(
        self, images: ImageInput | Sequence[ImageInput], batch_size: int = PICTURES, progress: Progress | None = None
    ) -> Float32[np.ndarray, "images embedding_dim"]:
        """Embeds images.

        Args:
            images: files, bytes of files, PIL images, or arrays (height, width, 3), uint8; a single image is treated as
                a list of one.
            batch_size: the number of images that are held and read at once.
            progress: called with the number of images that are done and the number of all images.

        Returns:
            Vectors of unit length, (images, embedding_dim), float32.

        Raises:
            ConfigurationError: the model was not trained to embed, or a batch is empty.
            DataError: some images cannot be read; the message names them.
        """
        model = as_embedder(self)
        _require_at_least_one(batch_size, "batch_size")
        batches = picture_batches(self, _several(images), progress, batch_size)
        return _stacked([_array(model.embed(states)) for states in batches], model.embedding_dim)

    def similarity(
        self, first: Float[np.ndarray, "first embedding_dim"], second: Float[np.ndarray, "second embedding_dim"]
    ) -> Float32[np.ndarray, "first second"]:
        """Returns the cosine of each vector in `first` with each vector in `second`, (first, second), float32."""
        product: NDArray[np.float32] = _of_unit_length(first) @ _of_unit_length(second).T
        return product

    def score(
        self,
        texts: str | Sequence[str],
        images: ImageInput | Sequence[ImageInput],
        languages: str | Sequence[str] = AUTO,
        batch_size: int = PAIRS,
    ) -> Float32[np.ndarray, " pairs"]:
        """Returns the probability that text i is true of image i, from the cross-encoder.

        Args:
            texts: one text for each image, or a single text for all images.
            images: as in `encode_images`, one for each text, or a single image for all texts.
            languages: as in `encode_texts`.
            batch_size: the number of pairs that are read at once.

        Returns:
            Probabilities, (pairs,), float32.

        Raises:
            ConfigurationError: the model was not trained to match, it does not know a language, or the numbers of texts
                and images differ.
            DataError: some images cannot be read; the message names those of one batch.
        """
        model = as_matcher(self)
        asked, shown = self._pairs(texts, images, languages)
        parts = [
            _array(torch.sigmoid(matched(model, asked[some], shown[some]))) for some in _batches(len(asked), batch_size)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def answer(
        self,
        questions: str | Sequence[str],
        images: ImageInput | Sequence[ImageInput],
        languages: str | Sequence[str] = AUTO,
        top: int = 5,
        batch_size: int = PAIRS,
    ) -> list[list[Answer]]:
        """Answers question i about image i.

        Args:
            questions: one question for each image, or a single question about all images.
            images: as in `encode_images`, one for each question, or a single image for all questions.
            languages: the languages of the questions, as in `encode_texts`.
            top: the number of answers to each question.
            batch_size: the number of pairs that are read at once.

        Returns:
            For each pair, a list of at most `top` answers in the model's own words, the most probable first.

        Raises:
            ConfigurationError: the model was not trained to answer, it does not know a language, or the numbers of
                questions and images differ.
            DataError: some images cannot be read; the message names those of one batch.
        """
        model = as_answerer(self)
        _require_at_least_one(top, "top")
        asked, shown = self._pairs(questions, images, languages)
        found: list[list[Answer]] = []
        for some in _batches(len(asked), batch_size):
            texts = self.read(asked[some])
            pictures = read_pictures(self, shown[some])
            answers = best_answers(model, texts, pictures, top)
            found += [[Answer(answer, probability, answer) for answer, probability in row] for row in answers]
        return found

    def _texts(self, texts: str | Sequence[str], languages: str | Sequence[str]) -> list[Text]:
        given = [texts] if isinstance(texts, str) else list(texts)
        codes = [languages] * len(given) if isinstance(languages, str) else list(languages)
        if len(codes) != len(given):
            raise ConfigurationError(
                f"expected one language for all texts or one for each, got {len(codes)} for {len(given)} texts"
            )
        return [Text(text, language_of(self, text, code)) for text, code in zip(given, codes, strict=True)]

    def _pairs(
        self, texts: str | Sequence[str], images: ImageInput | Sequence[ImageInput], languages: str | Sequence[str]
    ) -> tuple[list[Text], list[ImageInput]]:
        asked, shown = self._texts(texts, languages), _several(images)
        if isinstance(texts, str):
            asked *= len(shown)
        elif _is_one(images):
            shown *= len(asked)
        if len(asked) != len(shown):
            raise ConfigurationError(f"expected as many texts as images, got {len(asked)} and {len(shown)}")
        return asked, shown


def _decoded(image: ImageInput) -> Image.Image:
    if isinstance(image, Image.Image):
        try:
            return as_rgb(image)
        except Exception as error:  # of any kind, for a file that PIL has opened and cannot decode
            raise PictureError(f"cut short or damaged: {reason_of(error)}") from error
    if isinstance(image, np.ndarray):
        try:
            return as_rgb(Image.fromarray(image))
        except (TypeError, ValueError) as error:
            raise PictureError(
                "expected an array (height, width), (height, width, 3) or (height, width, 4) of uint8, "
                f"got {image.shape} of {image.dtype}"
            ) from error
    return decode(image)


def _batches(count: int, batch_size: int) -> list[slice]:
    _require_at_least_one(batch_size, "batch_size")
    return [slice(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]


def _require_at_least_one(value: int, name: str) -> None:
    if value < 1:
        raise ConfigurationError(f"expected {name} of at least 1, got {value}")


def _is_one(images: ImageInput | Sequence[ImageInput]) -> TypeGuard[ImageInput]:
    if isinstance(images, np.ndarray):
        return images.ndim < 4  # of four dimensions it is several
    return isinstance(images, str | os.PathLike | bytes | Image.Image)


def _several(images: ImageInput | Sequence[ImageInput]) -> list[ImageInput]:
    return [images] if _is_one(images) else list(cast("Sequence[ImageInput]", images))


def _array(values: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.detach().float().cpu().numpy()
    return array


def _stacked(parts: Sequence[NDArray[np.float32]], width: int) -> NDArray[np.float32]:
    return np.concatenate(parts) if parts else np.zeros((0, width), np.float32)


def _of_unit_length(vectors: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit
