"""Every error that polyglance raises on purpose, in one tree.

PolyglanceError
├── ConfigurationError      a setting, an argument or a name that does not exist or does not fit
├── DataError               a file of the user's that is not what it should be
│   ├── PictureError        a picture that cannot be decoded
│   └── QueryError          a query or question that cannot be used
├── TrainingError           a training that cannot go on
├── CheckpointError         model weights or their description that cannot be used
└── LibraryError            a library folder that cannot be used
    ├── LibraryMissing      there is none yet
    ├── LibraryMismatch     it was read by another model
    └── LibraryDamaged      its files are torn

A message says what was expected, what came, and what to do. `str(error)` is one line, fit for a terminal.
"""


class PolyglanceError(Exception):
    """The root: catch this to catch all that polyglance raises on purpose."""


class ConfigurationError(PolyglanceError):
    """A setting, an argument or a name that does not exist or does not fit."""


class DataError(PolyglanceError):
    """A file or a text of the user's that is not what it should be."""


class PictureError(DataError):
    """A picture that cannot be decoded; the message is the reason alone, without the path."""


class QueryError(DataError):
    """A query or question that cannot be used."""


class TrainingError(PolyglanceError):
    """A training that cannot go on; what it saved last stays."""


class CheckpointError(PolyglanceError):
    """Model weights or their description that cannot be used."""


class LibraryError(PolyglanceError):
    """A library folder that cannot be used."""


class LibraryMissing(LibraryError):
    """There is no library in that folder yet."""


class LibraryMismatch(LibraryError):
    """The library was read by another model, so its vectors mean nothing to this one."""


class LibraryDamaged(LibraryError):
    """The library's files are torn or missing."""


def reason_of(error: BaseException) -> str:
    """The first line of what another library's error says, or the error's kind where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
