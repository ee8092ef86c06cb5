"""The identity of a model, and the keys under which a library stores what it read. Does not import torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from polyglance.data.images import content_hash
from polyglance.data.texts import OF_TEXT, text_hash
from polyglance.errors import PictureError, reason_of
from polyglance.types import Text


@dataclass(frozen=True)
class ModelIdentity:
    """The facts about a model that determine what it reads from an input.

    name: the name of the model. source: what `load_model` takes to load the model again from any working directory: the
    bundled model's name, an absolute folder, or a name on the hub with its revision; None for a model that was built in
    memory. fingerprint: a hash of the weights and the configuration. added_languages: the fingerprint of the weights of
    each language that was added to the model, by its code. side_files: the suffixes of the files that are read with a
    picture; they are in its folder and share its stem.
    """

    name: str
    source: str | None
    fingerprint: str
    added_languages: Mapping[str, str] = field(default_factory=dict)
    side_files: tuple[str, ...] = ()

    def files(self, picture: str | os.PathLike[str]) -> tuple[Path, ...]:
        """Returns the picture file followed by its side files."""
        return (Path(picture), *(Path(picture).with_suffix(suffix) for suffix in self.side_files))

    def stamp(self, picture: str | os.PathLike[str]) -> tuple[int, int]:
        """Returns the size in bytes and the modification time in nanoseconds, each summed over the picture's files.

        The stamp changes when any of these files changes. No file is opened.

        Raises:
            PictureError: a file is missing.
        """
        try:
            found = [path.stat() for path in self.files(picture)]
        except OSError as error:
            raise PictureError(f"{error.filename}: {(error.strerror or reason_of(error)).lower()}") from error
        return sum(one.st_size for one in found), sum(one.st_mtime_ns for one in found)

    def key(self, source: Text | str | os.PathLike[str]) -> str:
        """Returns the key under which the states of a text or a picture file are stored.

        Two inputs share a key exactly when the model reads the same from both. The key is a hash of the model's
        fingerprint and the content. For a text in an added language it also covers that language's weights, and for a
        picture its side files.

        Raises:
            PictureError: a file cannot be read.
        """
        if isinstance(source, Text):
            language = self.added_languages.get(source.language, "")
            return f"{OF_TEXT}{text_hash(self.fingerprint, language, source.text)}"
        picture, *side_files = self.files(source)
        return text_hash(self.fingerprint, content_hash(picture), *map(_side_hash, side_files))


def _side_hash(path: Path) -> str:
    try:
        return content_hash(path)
    except PictureError as error:
        raise PictureError(f"{path}, which is read with the picture: {error}") from error
