"""What every state store does, run over each of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from polyglance.errors import LibraryDamaged
from polyglance.store.lance import LanceDatabase
from polyglance.store.memory import MemoryStateStore
from polyglance.store.protocols import ReaderFacts, StateStore
from polyglance.types import StoredStates


@pytest.fixture(params=["memory", "lance"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StateStore:
    if request.param == "memory":
        return MemoryStateStore()
    LanceDatabase.create(tmp_path / "library", 4, ReaderFacts("m", "m", "f"))
    return LanceDatabase(tmp_path / "library").states


def states(seed: int, tokens: int = 3, width: int = 5) -> StoredStates:
    draw = np.random.default_rng(seed)
    return StoredStates(
        draw.integers(-127, 128, (tokens, width), np.int8), draw.uniform(0.01, 2, tokens).astype(np.float16)
    )


def with_vector(seed: int) -> StoredStates:
    return replace(states(seed), vector=np.random.default_rng(seed).normal(size=4).astype(np.float32))


def same(left: StoredStates, right: StoredStates) -> bool:
    return (
        left.values.dtype == right.values.dtype == np.int8
        and left.scales.dtype == right.scales.dtype == np.float16
        and np.array_equal(left.values, right.values)
        and np.array_equal(left.scales, right.scales)
        and (left.vector is None) == (right.vector is None)
        and (left.vector is None or np.array_equal(left.vector, right.vector))
    )


def test_an_empty_store_holds_nothing(store: StateStore):
    assert store.ids() == set()
    assert store.get([]) == []
    store.remove(["a"])


def test_states_come_back_to_the_bit_in_the_order_asked(store: StateStore):
    kept = {"a": states(0), "b": states(1, tokens=1), "c": states(2, tokens=7), "d": with_vector(3)}
    store.put(kept)
    asked = ["c", "a", "d", "b", "a"]
    assert all(same(got, kept[key]) for key, got in zip(asked, store.get(asked), strict=True))
    assert store.ids() == {"a", "b", "c", "d"}


def test_an_id_that_is_held_keeps_what_it_has(store: StateStore):
    store.put({"a": states(0)})
    store.put({"a": states(1), "b": states(2)})
    first, second = store.get(["a", "b"])
    assert same(first, states(0))
    assert same(second, states(2))


def test_missing_states_are_damage(store: StateStore):
    store.put({"a": states(0)})
    with pytest.raises(LibraryDamaged, match="1 "):
        store.get(["a", "gone"])


def test_what_is_removed_is_gone(store: StateStore):
    store.put({name: states(0) for name in "abc"})
    store.remove(["a", "b", "never there"])
    assert store.ids() == {"c"}


def test_an_odd_id_is_only_an_id(store: StateStore):
    store.put({"it's": states(0), "'; --": states(1)})
    store.remove(["it's"])
    assert store.ids() == {"'; --"}
    assert same(store.get(["'; --"])[0], states(1))
