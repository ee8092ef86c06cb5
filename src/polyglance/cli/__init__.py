"""The command `polyglance`: turns arguments into one result or one line of error. It handles no tensors."""

import atexit
import gc
import os
import sys
from typing import Final, NoReturn

__all__ = ["main"]


OBJECTS_A_COLLECTION: Final = 100_000
"""The number of new objects between garbage collections. Importing torch makes hundreds of thousands that stay, and
collecting every 700, as Python does, takes a tenth of a search."""


def main() -> None:
    """Runs the command on `sys.argv` and exits: 0 success, 1 error, 2 wrong usage, 130 interrupted."""
    gc.set_threshold(OBJECTS_A_COLLECTION, 20, 20)
    atexit.register(gc.freeze)  # what is left needs no search for garbage, which takes 0.4 s after torch
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        from polyglance.cli.app import app

        app(prog_name="polyglance")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("POLYGLANCE_DEBUG") == "1":
            raise
        fail(error)
    finally:
        _flush()


def _flush() -> None:
    """Writes what is left of standard output. A reader that has gone, such as `head`, is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where Python flushes once more when it ends


def fail(error: Exception) -> NoReturn:
    """Exits with status 1 and one line on standard error."""
    from polyglance.cli.output import one_line
    from polyglance.errors import PolyglanceError

    if isinstance(error, PolyglanceError):
        reason = str(error)
    elif isinstance(error, OSError) and error.strerror:
        reason = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    else:
        reason = f"unexpected {type(error).__name__}: {error} (POLYGLANCE_DEBUG=1 shows where)"
    print(f"polyglance: {one_line(reason)}", file=sys.stderr)
    sys.exit(1)
