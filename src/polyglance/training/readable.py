"""Checks before a training which pictures can be opened, so that no bad file ends it hours later."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from polyglance.data.lines import named
from polyglance.errors import DataError, PictureError
from polyglance.models.protocol import Reader
from polyglance.types import StageProgress

STAGE: Final = "checking pictures"
_THREADS: Final = 4


def unreadable_pictures(model: Reader, paths: Iterable[Path], report: StageProgress | None = None) -> dict[str, str]:
    """Returns the pictures that a model cannot open, with the reasons. Every file is opened once.

    Raises DataError, which names them, if none can be read.
    """
    pictures = list(dict.fromkeys(paths))
    skipped: dict[str, str] = {}
    if report:
        report(STAGE, 0, len(pictures), {})
    with ThreadPoolExecutor(_THREADS) as threads:
        for done, (path, fault) in enumerate(zip(pictures, threads.map(partial(_fault, model), pictures), strict=True)):
            if fault is not None:
                skipped[str(path)] = fault
            if report:
                report(STAGE, done + 1, len(pictures), {})
    if pictures and len(skipped) == len(pictures):
        shown = named([f"{path}: {reason}" for path, reason in skipped.items()])
        raise DataError(f"none of {len(pictures):,} pictures can be read: {shown}")
    return skipped


def _fault(model: Reader, path: Path) -> str | None:
    try:
        model.open(path)
    except PictureError as error:
        return str(error)
    return None
