"""What tells one model from another, and the names under which a library keeps what a model read. No torch."""

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
    """The facts about a model that decide what reading an input gives.

    name: what people call the model. source: what `load_model` takes to load it again, from any working directory: the
    bundled model's name, an absolute folder, or a name on the hub with its revision; None for a model that was built in
    memory. fingerprint: a hash of the weights and the configuration. added_languages: the code of each language that
    was added to the model, with the fingerprint of that language's weights. side_files: suffixes of the files that are
    read with a picture; they lie beside it and share its stem.
    """

    name: str
    source: str | None
    fingerprint: str
    added_languages: Mapping[str, str] = field(default_factory=dict)
    side_files: tuple[str, ...] = ()

    def files(self, picture: str | os.PathLike[str]) -> tuple[Path, ...]:
        """The picture file itself, then its side files."""
        return (Path(picture), *(Path(picture).with_suffix(suffix) for suffix in self.side_files))

    def stamp(self, picture: str | os.PathLike[str]) -> tuple[int, int]:
        """(size in bytes, time of the last change in nanoseconds), each summed over the picture's files.

        It changes when any of the files changes, and costs no more than looking at them. Raises PictureError for a file
        that is not there.
        """
        try:
            found = [path.stat() for path in self.files(picture)]
        except OSError as error:
            raise PictureError(f"{error.filename}: {(error.strerror or reason_of(error)).lower()}") from error
        return sum(one.st_size for one in found), sum(one.st_mtime_ns for one in found)

    def key(self, source: Text | str | os.PathLike[str]) -> str:
        """The name under which what the model reads from a text or a picture file is kept.

        Two inputs share a key exactly when the model reads the same from both: the key is a hash of the model's
        fingerprint and the content, and for a text of the language where the model reads that language in its own way,
        for a picture of its side files. Raises PictureError for a file that cannot be read.
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
