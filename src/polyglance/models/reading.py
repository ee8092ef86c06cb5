"""Functions that read many pictures and texts with a model, in batches."""

import os
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from polyglance.data.lines import named
from polyglance.errors import ConfigurationError, DataError, PictureError
from polyglance.languages import AUTO, detect, language_code, nearest
from polyglance.models.capabilities import as_embedder
from polyglance.models.protocol import (
    Answerer,
    AnswerWriter,
    Embedder,
    ImageBatch,
    ImageInput,
    Matcher,
    Picture,
    Reader,
)
from polyglance.nn.states import TokenStates
from polyglance.types import Progress, Text

PICTURES: Final = 32
TEXTS: Final = 256
VECTORS: Final = 512


def read_pictures(
    model: Reader, images: Sequence[ImageInput], progress: Progress | None = None, batch_size: int = PICTURES
) -> TokenStates:
    """Reads pictures to token states, one row each.

    Raises:
        DataError: some pictures cannot be read; the message names them.
    """
    return TokenStates.joined(list(picture_batches(model, images, progress, batch_size)))


def read_readable(
    model: Reader, paths: Sequence[Path], progress: Progress | None = None, as_stored: bool = False
) -> tuple[TokenStates, dict[Path, str]]:
    """Reads the picture files that can be read.

    as_stored: whether to round the states to 8 bits, as a library stores them.

    Returns:
        The token states of the readable files, one row each, and the reason why each of the others cannot be read.

    Raises:
        DataError: no file can be read.
    """
    parts: list[TokenStates] = []
    failed: dict[Path, str] = {}
    if progress:
        progress(0, len(paths))
    for start in range(0, len(paths), PICTURES):
        some = paths[start : start + PICTURES]
        opened = dict(zip(some, _opened(model, some), strict=True))
        failed |= {path: one for path, one in opened.items() if isinstance(one, str)}
        if pictures := [one for one in opened.values() if isinstance(one, Picture)]:
            states = model.read(pictures)
            parts.append(TokenStates.load(states.store(), "image", model.device) if as_stored else states)
        if progress:
            progress(min(start + PICTURES, len(paths)), len(paths))
    if not parts:
        _require_none([f"{path}: {reason}" for path, reason in failed.items()])
    return TokenStates.joined(parts), failed


def picture_batches(
    model: Reader, images: Sequence[ImageInput], progress: Progress | None = None, batch_size: int = PICTURES
) -> Iterator[TokenStates]:
    """Yields the token states of pictures batch by batch, so that only one batch is in memory.

    After the first picture that cannot be read, the rest are only opened, to find all such pictures.

    Raises:
        DataError: some pictures cannot be read; the message names them.
    """
    failed: list[str] = []
    for start in range(0, len(images), batch_size):
        pictures, wrong = _try_to_open(model, images[start : start + batch_size], start)
        failed += wrong
        if not failed:
            yield model.read(pictures)
        if progress:
            progress(min(start + batch_size, len(images)), len(images))
    _require_none(failed)


def open_pictures(model: Reader, images: Sequence[ImageInput]) -> ImageBatch:
    """Opens pictures as one batch.

    Raises:
        DataError: some pictures cannot be read; the message names them.
    """
    pictures, failed = _try_to_open(model, images, 0)
    _require_none(failed)
    return ImageBatch.of(pictures)


def read_texts(
    model: Reader, texts: Sequence[str], languages: Sequence[str] = (), batch_size: int = TEXTS
) -> TokenStates:
    """Reads texts to token states, one row each, padded to the longest text.

    languages: the code of each text's language; if empty, `auto` for all.
    """
    read = list(map(Text, texts, languages or [AUTO] * len(texts)))
    return TokenStates.joined([model.read(read[i : i + batch_size]) for i in range(0, len(read), batch_size)])


def embed_all(model: Embedder, states: TokenStates) -> Float[Tensor, "rows dim"]:
    """Embeds many states in chunks of `VECTORS` rows."""
    return torch.cat([model.embed(states[i : i + VECTORS]) for i in range(0, len(states), VECTORS)])


def matched(model: Matcher, texts: Sequence[Text], images: Sequence[ImageInput]) -> Float[Tensor, " pairs"]:
    """Returns the log-odds that text i is true of picture i. A text or picture in several pairs is read once.

    Raises:
        DataError: some pictures cannot be read; the message names them.
    """
    first_texts, text_rows = _distinct(texts)
    first_images, image_rows = _distinct([_identity(image) for image in images])
    read = model.read([texts[row] for row in first_texts])
    seen = read_pictures(model, [images[row] for row in first_images])
    slope, offset = model.calibration
    logits = model.match(read[text_rows], seen[image_rows]).float()
    if model.cosine_weight:
        of_texts, of_images = (as_embedder(model).embed(states) for states in (read, seen))
        logits = logits + model.cosine_weight * (of_texts[text_rows] * of_images[image_rows]).sum(dim=-1)
    return slope * logits + offset


def best_answers(
    model: Answerer | AnswerWriter, questions: TokenStates, pictures: TokenStates, top: int
) -> list[list[tuple[str, float]]]:
    """Returns the `top` most probable answers to question i about picture i, best first, with their probabilities."""
    if isinstance(model, AnswerWriter):
        return model.write(questions, pictures, top)
    return best(model.answers, model.answer_logits(questions, pictures), top)


def best(answers: Sequence[str], logits: Float[Tensor, "pairs answers"], top: int) -> list[list[tuple[str, float]]]:
    """Returns the `top` most probable answers of each row, best first, with their probabilities.

    Equally probable answers keep their order.
    """
    found = torch.softmax(logits.float(), dim=-1).sort(descending=True, stable=True)
    return [
        [(answers[index], probability) for index, probability in zip(*row, strict=True)][:top]
        for row in zip(found.indices.tolist(), found.values.tolist(), strict=True)
    ]


def language_of(model: Reader, text: str, code: str) -> str:
    """Returns the language code to read a text with.

    code: a language code or tag, or `auto` to detect one of the model's languages in `text`; the result is `auto` if
    none can be detected.

    Raises:
        ConfigurationError: the model does not know the language.
    """
    code = language_code(code)
    if code == AUTO:
        return detect(text, model.languages)
    if code not in model.languages:
        known = ", ".join(model.languages)
        raise ConfigurationError(
            f"expected a language that {model.name} knows, {known} or auto; got {code!r}: the nearest is "
            f"{nearest(code, model.languages)!r}; polyglance train language adds another"
        )
    return code


def _try_to_open(model: Reader, images: Sequence[ImageInput], first: int) -> tuple[list[Picture], list[str]]:
    """Returns the pictures that can be read, and the name of each of the others with the reason."""
    opened = _opened(model, images)
    failed = [
        f"{os.fspath(image) if isinstance(image, str | os.PathLike) else f'picture {number}'}: {one}"
        for number, (image, one) in enumerate(zip(images, opened, strict=True), first)
        if isinstance(one, str)
    ]
    return [one for one in opened if isinstance(one, Picture)], failed


def _opened(model: Reader, images: Sequence[ImageInput]) -> list[Picture | str]:
    """Opens pictures in threads. Returns each picture, or the reason why it cannot be read."""

    def opened(image: ImageInput) -> Picture | str:
        try:
            return model.open(image)
        except PictureError as error:
            return str(error)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(opened, images))


def _require_none(failed: Sequence[str]) -> None:
    if failed:
        raise DataError(f"{len(failed)} of the pictures cannot be read: {named(failed)}")


def _identity(image: ImageInput) -> str | int:
    return os.fspath(image) if isinstance(image, str | os.PathLike) else id(image)


def _distinct(items: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Returns the first row of each distinct item, and for each row the position of its item among these."""
    place: dict[Hashable, int] = {}
    rows = [place.setdefault(item, len(place)) for item in items]
    return [rows.index(item) for item in place.values()], rows
