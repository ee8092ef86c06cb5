"""What every vector store does, run over each of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from polyglance.store.lance import LanceDatabase
from polyglance.store.memory import MemoryVectorStore
from polyglance.store.protocols import PictureFacts, ReaderFacts, TextFacts, VectorStore

DIM = 8
ODD_NAMES = [
    "/it's",
    '/"quoted"',
    "/new\nline",
    "/back\\slash",
    "/100%_",
    "/звезда 星 ⭐",
    "/'; DROP TABLE pictures; --",
]


@pytest.fixture(params=["memory", "lance"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> VectorStore[PictureFacts]:
    if request.param == "memory":
        return MemoryVectorStore(DIM)
    return lance(tmp_path).pictures


@pytest.fixture(params=["memory", "lance"])
def texts(request: pytest.FixtureRequest, tmp_path: Path) -> VectorStore[TextFacts]:
    return MemoryVectorStore(DIM) if request.param == "memory" else lance(tmp_path).make_texts()


def lance(folder: Path) -> LanceDatabase:
    LanceDatabase.create(folder / "library", DIM, ReaderFacts("m", "m", "f"))
    return LanceDatabase(folder / "library")


def facts(path: str, content: str | None = None, size: int = 1) -> PictureFacts:
    return PictureFacts(path, "/", content or f"content of {path}", size, 1_700_000_000_123_456_789, 640, 480)


def unit(*values: float) -> np.ndarray:
    vector = np.zeros(DIM, np.float32)
    vector[: len(values)] = values
    return vector / np.linalg.norm(vector)


def put(store: VectorStore[PictureFacts], *rows: tuple[PictureFacts, np.ndarray]) -> None:
    store.put([row for row, _ in rows], np.stack([vector for _, vector in rows]))


def test_an_empty_store_finds_nothing(store: VectorStore[PictureFacts]):
    assert len(store) == 0
    assert store.facts() == []
    assert store.find("/a") is None
    assert store.search(unit(1), 5) == []
    store.remove(["/a"])


def test_facts_come_back_as_they_were_sorted_by_path(store: VectorStore[PictureFacts]):
    put(store, (facts("/b"), unit(1)), (facts("/a"), unit(0, 1)))
    assert store.facts() == [facts("/a"), facts("/b")]
    assert store.find("/b") == facts("/b")
    assert len(store) == 2


def test_a_path_is_a_key(store: VectorStore[PictureFacts]):
    put(store, (facts("/a", size=1), unit(1)))
    put(store, (facts("/a", "changed", size=2), unit(0, 1)), (facts("/b"), unit(1)))
    assert store.find("/a") == facts("/a", "changed", size=2)
    assert len(store) == 2
    assert store.search(unit(0, 1), 1)[0].facts.path == "/a"


def test_search_gives_cosines_best_first(store: VectorStore[PictureFacts]):
    put(store, (facts("/far"), unit(-1)), (facts("/near"), unit(1)), (facts("/between"), unit(3, 4)))
    hits = store.search(unit(1), 3)
    assert [hit.facts.path for hit in hits] == ["/near", "/between", "/far"]
    assert [hit.score for hit in hits] == pytest.approx([1, 0.6, -1], abs=1e-6)
    assert hits[0].facts.content == "content of /near"
    assert store.search(unit(1), 1) == hits[:1]


def test_search_agrees_with_a_matrix_product(store: VectorStore[PictureFacts]):
    vectors = np.random.default_rng(0).normal(size=(300, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store.put([facts(f"/{row:03}") for row in range(300)], vectors)
    scores = vectors @ vectors[7]
    for _ in range(3):
        hits = store.search(vectors[7], 20)
        assert [hit.facts.path for hit in hits] == [f"/{row:03}" for row in np.argsort(-scores)[:20]]
        assert [hit.score for hit in hits] == pytest.approx(np.sort(scores)[::-1][:20].tolist(), abs=1e-5)


def test_many_vectors_find_at_once_what_each_finds_alone(store: VectorStore[PictureFacts]):
    vectors = np.random.default_rng(1).normal(size=(150, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store.put([facts(f"/{row:03}") for row in range(150)], vectors)
    at_once = store.search_all(vectors, 7)
    assert at_once == [store.search(vector, 7) for vector in vectors]
    assert [hits[0].facts.path for hits in at_once] == [f"/{row:03}" for row in range(150)]
    assert store.search_all(vectors[:0], 7) == []


def test_equal_scores_are_ordered_by_path(store: VectorStore[PictureFacts]):
    put(store, *((facts(f"/{name}"), unit(1)) for name in "dbca"))
    for _ in range(3):
        assert [hit.facts.path for hit in store.search(unit(1), 4)] == ["/a", "/b", "/c", "/d"]


def test_equal_rows_at_the_limit_are_the_first_by_path(store: VectorStore[PictureFacts]):
    names = [f"/{row:03}" for row in np.random.default_rng(1).permutation(200)]
    put(store, *((facts(name), unit(1, 1, 1)) for name in names), (facts("/best"), unit(1)))
    for _ in range(3):
        assert [hit.facts.path for hit in store.search(unit(1), 4)] == ["/best", "/000", "/001", "/002"]


def test_every_search_of_every_store_gives_the_same_hits(tmp_path: Path):
    """Rows that are equal but for the last digits, in numbers at which products are computed in different ways."""
    rng = np.random.default_rng(2)
    vectors = np.tile(rng.normal(size=DIM), (999, 1)) + rng.normal(size=(999, DIM)) * 1e-7
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    rows = [facts(f"/{row}") for row in rng.permutation(999)]
    memory, disk = MemoryVectorStore[PictureFacts](DIM), lance(tmp_path).pictures
    memory.put(rows, vectors)
    disk.put(rows[::-1], vectors[::-1])
    for query in (unit(*rng.normal(size=DIM)), vectors[0]):
        expected = memory.search(query, 50)
        for _ in range(3):
            assert disk.search(query, 50) == expected


@pytest.mark.parametrize("limit", [3, 10**19])
def test_more_may_be_asked_for_than_there_is(store: VectorStore[PictureFacts], limit: int):
    put(store, *((facts(f"/{name}"), unit(1)) for name in "abc"))
    for _ in range(3):
        assert len(store.search(unit(1), limit)) == 3


def test_what_is_removed_is_gone(store: VectorStore[PictureFacts]):
    put(store, *((facts(f"/{name}"), unit(1)) for name in "abc"))
    for _ in range(3):
        assert len(store.search(unit(1), 5)) == 3
    store.remove(["/a", "/c", "/never there"])
    assert [row.path for row in store.facts()] == ["/b"]
    for _ in range(3):
        assert [hit.facts.path for hit in store.search(unit(1), 5)] == ["/b"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_only_names(store: VectorStore[PictureFacts], name: str):
    put(store, *((facts(path), unit(1)) for path in ["/other", *ODD_NAMES]))
    assert store.find(name) == facts(name)
    store.remove([name])
    assert store.find(name) is None
    assert len(store) == len(ODD_NAMES)
    assert store.find("/other") is not None


def test_thousands_of_keys_at_once(store: VectorStore[PictureFacts]):
    rows = [facts(f"/{row}") for row in range(2_500)]
    store.put(rows, np.tile(unit(1), (2_500, 1)))
    assert len(store) == 2_500
    store.remove([row.path for row in rows[1:]])
    assert store.facts() == rows[:1]


def test_texts_are_held_as_pictures_are(texts: VectorStore[TextFacts]):
    rows = [TextFacts(f"{name} of a file", f"text:{name}", name, "en", "/texts.txt") for name in ODD_NAMES]
    texts.put(rows, np.tile(unit(0, 1), (len(rows), 1)))
    texts.put([replace(rows[0], language="de")], unit(1)[None])
    assert [hit.facts.text for hit in texts.search(unit(1), 1)] == [ODD_NAMES[0]]
    assert texts.find(rows[0].id) == replace(rows[0], language="de")
    texts.remove([row.id for row in rows[:-1]])
    assert texts.facts() == rows[-1:]
    assert len(texts) == 1
