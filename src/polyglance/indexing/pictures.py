"""Indexes folders of pictures: reads new pictures, keeps known ones, and forgets those that are gone."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Final

import numpy as np

from polyglance.data.images import find_pictures
from polyglance.data.texts import is_of_text
from polyglance.errors import DataError, PictureError
from polyglance.indexing.missing import absolute, find_missing, is_in, named_alone, root_of
from polyglance.models.identity import ModelIdentity
from polyglance.query import printable
from polyglance.store.protocols import Database, PictureFacts
from polyglance.types import AwayPictures, FailedPicture, IndexReport, PathLike, Progress

if TYPE_CHECKING:
    from polyglance.indexing.reading import PictureReading, ReadBatch
    from polyglance.models.protocol import Embedder

WRITES_UNTIL_TIDY: Final = 64
SECONDS_A_WRITE: Final = 1.0
"""The batches read in this time are written together. A write costs time, and Lance keeps memory for each one."""


logger = logging.getLogger(__name__)


class PictureRun:
    """One indexing run over folders. Threads hash, decode and read the files; the results are written in order.

    States are written before the rows that need them and removed after these rows. A run that is killed in between
    leaves states without a row, which the next run removes.

    model: returns the model; called when the first file must be opened. identity: the identity of that model. database:
    the library's database. folders: the folders to index. prune: whether to forget pictures that are away.

    Raises:
        DataError: a folder does not exist, and no picture below it is known.
    """

    def __init__(
        self,
        model: Callable[[], "Embedder"],
        identity: ModelIdentity,
        database: Database,
        folders: Sequence[PathLike],
        *,
        prune: bool = False,
    ) -> None:
        self._model = model
        self._identity = identity
        self._database = database
        self._prune = prune
        self._roots = [absolute(folder) for folder in folders]
        self._known = {facts.path: facts for facts in database.pictures.facts()}
        found = find_pictures([root for root in self._roots if os.path.exists(root) or not self._knows(root)])
        self._found = replace(found, paths=[*found.paths, *named_alone(self._known, self._roots, found)])
        self._rows = dict(self._known)
        self._states = picture_states(database)
        self._outdated: set[str] = set()
        passed_over = [path for path in found.passed_over if path not in self._known]
        self._report = IndexReport(
            failed=[FailedPicture(printable(path), reason) for path, reason in found.unreadable.items()],
            passed_over=dict(Counter(map(_suffix, passed_over)).most_common()),
        )

    def run(self, progress: Progress) -> IndexReport:
        started = perf_counter()
        pending = [path for path in self._found.paths if not self._is_unchanged(path)]
        total = len(self._found.paths)
        done = total - len(pending)
        progress(done, total)
        if pending:
            reading = self._reading()
            for number, read in enumerate(_gathered(reading.read(pending)), 1):
                self._write(read, reading)
                if number % WRITES_UNTIL_TIDY == 0:
                    self._database.tidy()
                done += sum(map(len, read))
                progress(done, total)
        swept = self._sweep()
        if pending or swept:
            self._database.tidy()
            self._database.sync()
        return self._finish(perf_counter() - started)

    def _knows(self, root: str) -> bool:
        return any(is_in(path, root) for path in self._known)

    def _is_unchanged(self, path: str) -> bool:
        facts = self._known.get(path)
        if facts is None or facts.content not in self._states:
            return False
        return os.path.exists(path) and not has_changed(self._identity, facts)

    def _reading(self) -> "PictureReading":
        from polyglance.indexing.reading import PictureReading

        kept = (facts for facts in self._known.values() if facts.content in self._states)
        sizes = {facts.content: (facts.width, facts.height) for facts in kept}
        return PictureReading(self._model(), self._roots, self._known, sizes)

    def _write(self, reads: Sequence["ReadBatch"], reading: "PictureReading") -> None:
        for failed in (failed for read in reads for failed in read.failed):
            self._report.failed.append(FailedPicture(printable(failed.path), failed.reason))
            if failed.changed:
                self._outdated.add(failed.path)
        facts = [row for read in reads for row in read.facts]
        if not facts:
            return
        if states := {key: row for read in reads for key, row in read.states.items()}:
            self._database.states.put(states)
            self._states |= states.keys()
        vectors = {key: row for read in reads for key, row in read.vectors.items()}
        if known := [key for key in dict.fromkeys(row.content for row in facts) if key not in vectors]:
            vectors |= zip(known, reading.embedded(self._database.states.get(known)), strict=True)
        self._database.pictures.put(facts, np.stack([vectors[row.content] for row in facts]))
        self._rows |= {row.path: row for row in facts}

    def _sweep(self) -> bool:
        """Forgets files that are gone and states that no file needs. Returns whether there were any."""
        read = [path for path in self._found.paths if path in self._rows and path not in self._outdated]
        missing = find_missing(self._known, self._roots, self._found, {self._rows[path].content for path in read})
        gone = missing.moved | missing.gone | self._outdated
        if self._prune:
            gone |= {path for paths in missing.away.values() for path in paths}
        else:
            self._report.away = [AwayPictures(root, len(paths)) for root, paths in sorted(missing.away.items())]
        self._rows = {path: facts for path, facts in self._rows.items() if path not in gone}
        return forget(self._database, gone, self._rows.values(), self._states)

    def _finish(self, seconds: float) -> IndexReport:
        before, after = self._known, self._rows
        came = Counter(
            row.content for path, row in after.items() if path not in before or before[path].content != row.content
        )
        left = Counter(row.content for path, row in before.items() if path not in after)
        moved = (came & left).total()
        report = self._report
        report.added, report.moved, report.removed = came.total() - moved, moved, left.total() - moved
        report.unchanged = len(self._found.paths) - came.total() - (len(report.failed) - len(self._found.unreadable))
        report.seconds = seconds
        report.pictures_per_second = came.total() / seconds
        self._log(report)
        return report

    def _log(self, report: IndexReport) -> None:
        for failed in report.failed:
            logger.warning("%r: %s", failed.path, failed.reason)
        for one in report.away:
            logger.warning("%d pictures below %r are away", one.pictures, one.folder)
        logger.info(
            "%d added, %d unchanged, %d moved, %d removed in %.1f s",
            *(report.added, report.unchanged, report.moved, report.removed, report.seconds),
        )


def remove_pictures(database: Database, paths: Sequence[PathLike]) -> int:
    """Forgets the pictures at these paths and below these folders, and returns how many there were.

    Raises:
        DataError: no picture is known at a path; then nothing is forgotten.
    """
    known = {facts.path: facts for facts in database.pictures.facts()}
    named = {absolute(path) for path in paths}
    for path in sorted(named):
        if not any(is_in(picture, path) for picture in known):
            raise DataError(
                f"expected a picture of the library or a folder of some, but it has none at {printable(path)}"
            )
    gone = {path for path in known if root_of(path, named)}
    if gone:
        forget(database, gone, (facts for path, facts in known.items() if path not in gone), picture_states(database))
        database.tidy()
        database.sync()
    return len(gone)


def forget(database: Database, gone: Collection[str], kept: Iterable[PictureFacts], states: Collection[str]) -> bool:
    """Forgets pictures and the states that no picture needs any more. Returns whether there were any.

    gone: the paths of the pictures to forget. kept: the pictures that stay. states: the contents of all states of
    pictures.
    """
    orphans = set(states) - {facts.content for facts in kept}
    database.pictures.remove(gone)
    database.states.remove(orphans)
    return bool(gone or orphans)


def picture_states(database: Database) -> set[str]:
    """Returns the contents of the pictures whose states the database holds."""
    return {content for content in database.states.ids() if not is_of_text(content)}


def has_changed(identity: ModelIdentity, facts: PictureFacts) -> bool:
    """Returns whether the picture's file or a file that is read with it may have changed.

    A file that is missing or cannot be examined counts as unchanged.
    """
    try:
        return (facts.size, facts.mtime_ns) != identity.stamp(facts.path)
    except PictureError:
        return False


def _suffix(path: str) -> str:
    return printable(os.path.splitext(path)[1].lower())


def _gathered(reads: Iterable["ReadBatch"]) -> Iterator[list["ReadBatch"]]:
    some, since = list["ReadBatch"](), perf_counter()
    for read in reads:
        some.append(read)
        if perf_counter() - since >= SECONDS_A_WRITE:
            yield some
            some, since = [], perf_counter()
    if some:
        yield some
