"""Measures the time of a search in libraries of growing size on disk."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from experiments.results import Row
from experiments.retrieval.systems import TIMED, Reading
from experiments.retrieval.world import World
from polyglance.library import Library
from polyglance.store.lance import LanceDatabase
from polyglance.store.protocols import PictureFacts, ReaderFacts

CANDIDATES = 20
CHUNK = 5000


def library_rows(reading: Reading, world: World) -> Iterator[Row]:
    """Yields the median milliseconds of each stage of a `Library.search` by a text, with 20 candidates reranked.

    first_ms: the first search of a library that was just opened, which reads the vectors from the disk; loading the
    model is not included.
    """
    for size in world.settings.pools:
        with TemporaryDirectory() as folder:
            database = _filled(Path(folder) / "library", reading, size)
            library = Library(database, reading.model)
            asked = [world.texts[n] for n in range(min(TIMED, len(world.asked)))]
            searches = [
                library.search(text, candidates=min(CANDIDATES, size)).milliseconds for text in [*asked[:1] * 2, *asked]
            ][2:]
            first = [
                Library(LanceDatabase(database.folder), reading.model)
                .search(text, candidates=min(CANDIDATES, size))
                .milliseconds["total"]
                for text in asked
            ]
        stages = {name: [one[name] for one in searches] for name in searches[0]}
        yield {
            "part": "libraries",
            "pictures": size,
            "candidates": min(CANDIDATES, size),
            "milliseconds": {name: round(median(taken), 2) for name, taken in stages.items()},
            "first_ms": round(median(first), 2),
            "spread": {name: [round(min(taken), 2), round(max(taken), 2)] for name, taken in stages.items()},
        }


def _filled(folder: Path, reading: Reading, size: int) -> LanceDatabase:
    """Returns a library of the first pictures, as indexing would have left it."""
    model = reading.model
    LanceDatabase.create(folder, model.embedding_dim, ReaderFacts(model.name, model.name, model.fingerprint))
    database = LanceDatabase(folder)
    vectors = reading.image_vectors.numpy()
    for start in range(0, size, CHUNK):
        rows = range(start, min(start + CHUNK, size))
        facts = [PictureFacts(f"/scenes/{row}.png", "/scenes", f"{row:064x}", 0, 0, 256, 256) for row in rows]
        stored = reading.images[rows.start : rows.stop].store()
        database.states.put(dict(zip((one.content for one in facts), stored, strict=True)))
        database.pictures.put(facts, vectors[rows.start : rows.stop])
    database.tidy()
    return database
