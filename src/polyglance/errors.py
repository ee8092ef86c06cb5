"""Every error that polyglance raises on purpose, in one tree.

PolyglanceError
├── ConfigurationError      a setting, an argument or a name that does not exist or does not fit
├── DataError               a file or text of the user that cannot be used
│   ├── PictureError        a picture that cannot be decoded
│   └── QueryError          a query or question that cannot be used
├── TrainingError           a training that cannot go on
├── CheckpointError         model weights or their description that cannot be used
└── LibraryError            a library folder that cannot be used
    ├── LibraryMissing      the folder holds no library
    ├── LibraryMismatch     another model read the library
    └── LibraryDamaged      the library's files are torn or missing

A message says what was expected, what came, and what to do. `str(error)` is one line, fit for a terminal.
"""


class PolyglanceError(Exception):
    """The base class of all errors that polyglance raises on purpose."""


class ConfigurationError(PolyglanceError):
    """A setting, an argument or a name that does not exist or does not fit."""


class DataError(PolyglanceError):
    """A file or a text of the user that cannot be used."""


class PictureError(DataError):
    """A picture that cannot be decoded. The message gives the reason without the path."""


class QueryError(DataError):
    """A query or question that cannot be used."""


class TrainingError(PolyglanceError):
    """A training that cannot go on. Its last checkpoint stays."""


class CheckpointError(PolyglanceError):
    """Model weights or their description that cannot be used."""


class LibraryError(PolyglanceError):
    """A library folder that cannot be used."""


class LibraryMissing(LibraryError):
    """A folder that does not hold a library."""


class LibraryMismatch(LibraryError):
    """A library that another model read, so that its vectors mean nothing to this one."""


class LibraryDamaged(LibraryError):
    """A library whose files are torn or missing."""


def reason_of(error: BaseException) -> str:
    """Returns the first line of an error's message, or the name of its class if there is none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
