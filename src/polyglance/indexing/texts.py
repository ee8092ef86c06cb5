"""Indexes files of texts: reads new texts, keeps known ones, and forgets those that are gone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

from polyglance.data.texts import find_texts, is_of_text, text_hash
from polyglance.indexing.missing import absolute
from polyglance.indexing.pictures import WRITES_UNTIL_TIDY
from polyglance.indexing.reading import batches
from polyglance.models.protocol import Embedder
from polyglance.nn.states import TokenStates
from polyglance.query import printable
from polyglance.store.protocols import Database, TextFacts
from polyglance.types import FailedText, PathLike, Progress, Text, TextReport

_BATCH: Final = 128


class TextRun:
    """One indexing run over files. As in `PictureRun`, states are written before the rows that need them."""

    def __init__(self, model: Embedder, database: Database, files: Sequence[PathLike]) -> None:
        self._model = model
        self._database = database
        self._found = {source: find_texts(Path(source), model.languages) for source in map(absolute, files)}
        self._texts = database.make_texts()
        self._known = {facts.id: facts for facts in self._texts.facts()}
        self._states = {content for content in database.states.ids() if is_of_text(content)}

    def run(self, progress: Progress) -> TextReport:
        started, model = perf_counter(), self._model
        rows = [
            TextFacts(text_hash(source, text), model.key(Text(text, language)), text, language, source)
            for source, found in self._found.items()
            for text, language in found.languages.items()
        ]
        pending = [row for row in rows if self._known.get(row.id) != row or row.content not in self._states]
        pending.sort(key=lambda row: len(row.text))  # texts of a batch are padded to the longest
        done = unchanged = len(rows) - len(pending)
        progress(done, len(rows))
        for number, batch in enumerate(batches(pending, _BATCH), 1):
            self._write(batch)
            if number % WRITES_UNTIL_TIDY == 0:
                self._database.tidy()
            done += len(batch)
            progress(done, len(rows))
        gone, orphans = self._sweep({row.id: row for row in rows})
        if pending or gone or orphans:
            self._database.tidy()
            self._database.sync()
        failed = [
            FailedText(printable(source), line, reason)
            for source, found in self._found.items()
            for line, reason in found.wrong.items()
        ]
        return TextReport(len(pending), unchanged, gone, failed, perf_counter() - started)

    def _write(self, batch: Sequence[TextFacts]) -> None:
        """Reads the new texts of the batch and stores the whole batch."""
        fresh = {row.content: row for row in batch if row.content not in self._states}
        if fresh:
            states = self._model.read([Text(row.text, row.language) for row in fresh.values()]).store()
            self._database.states.put(dict(zip(fresh, states, strict=True)))
            self._states |= fresh.keys()
        stored = self._database.states.get([row.content for row in batch])
        vectors = self._model.embed(TokenStates.load(stored, "text", self._model.device)).float().cpu().numpy()
        self._texts.put(batch, vectors)

    def _sweep(self, found: Mapping[str, TextFacts]) -> tuple[int, int]:
        """Forgets texts that are gone from the files and states that no text needs. Returns the number of each."""
        gone = {row.id for row in self._known.values() if row.source in self._found and row.id not in found}
        self._texts.remove(gone)
        kept = {key: row for key, row in {**self._known, **found}.items() if key not in gone}
        orphans = self._states - {row.content for row in kept.values()}
        self._database.states.remove(orphans)
        return len(gone), len(orphans)
