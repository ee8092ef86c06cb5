import pytest

from polyglance.adapters.composition import (
    Composition,
    Drop,
    Fuse,
    Fusion,
    Leaf,
    Parallel,
    Stack,
    Stage,
    active,
    paths,
    plan,
)
from polyglance.errors import ConfigurationError

A, B, C = Leaf("a"), Leaf("b"), Leaf("c")


@pytest.mark.parametrize(
    ("composition", "expected"),
    [
        (None, [()]),
        ("a", [(A,)]),
        (Stack("a", "b"), [(A, B)]),
        (Stack("a", None), [(A,)]),
        (Parallel("a", "b"), [(A,), (B,)]),
        (Parallel("a", None), [(A,), ()]),
        (Stack("a", Parallel("b", "c")), [(A, B), (A, C)]),
        (Stack(Parallel("a", "b"), "c"), [(A, C), (B, C)]),
        (Parallel("a", Parallel("b", "c")), [(A,), (B,), (C,)]),
        (Fuse("a", "b"), [(Fusion(("a", "b"), (A, B)),)]),
        (Stack("c", Fuse("a", "b")), [(C, Fusion(("a", "b"), (A, B)))]),
        (Drop("a", 3), [(Leaf("a", 3),)]),
        (Drop("a", 0), [(Leaf("a", 0),)]),
        (Drop(Parallel("a", Drop("b", 5)), 3), [(Leaf("a", 3),), (Leaf("b", 5),)]),
        (Drop(Fuse("a", "b"), 2), [(Fusion(("a", "b"), (Leaf("a", 2), Leaf("b", 2))),)]),
    ],
)
def test_a_composition_unfolds_into_paths(composition: Composition, expected: list[tuple[object, ...]]) -> None:
    assert list(paths(composition)) == expected


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: Stack(), "one or more parts"),
        (lambda: Stack(""), "name of an adapter"),
        (lambda: Stack("a", "b", "a"), "'a' twice"),
        (lambda: Stack(Parallel("a", "b"), Parallel("c", "d")), "belong together"),
        (lambda: Fuse("a", Parallel("b", "c")), "one by one"),
        (lambda: Fuse("a", None), "no output"),
        (lambda: Fuse("a", Fuse("b", "c")), "in one Fuse"),
        (lambda: Fuse("a", Stack("b", "c")), "what is shared below"),
        (lambda: Fuse("a", "b", Drop("a", 2)), "fuses 'a' twice"),
        (lambda: Drop("a", -1), "0 or more"),
        (lambda: Drop("", 1), "name of an adapter"),
    ],
)
def test_a_nesting_without_a_meaning_is_refused_when_it_is_built(build, reason) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        build()


def test_compositions_are_values() -> None:
    assert Stack("a", Parallel("b", "c")) == Stack("a", Parallel("b", "c")) != Stack("a", Fuse("b", "c"))
    assert len({Stack("a", "b"), Stack("a", "b"), Parallel("a", "b"), Fuse("a", "b")}) == 3
    assert repr(Stack("a", Drop(Fuse("b", "c"), 2))) == "Stack('a', Drop(part=Fuse('b', 'c'), depth=2))"


def test_below_its_depth_an_adapter_is_not_there() -> None:
    (path,) = paths(Stack(Drop("a", 1), Fuse(Drop("b", 2), Drop("c", 3))))
    assert active(path, 0) == ()
    assert active(path, 1) == (Leaf("a", 1),)
    assert active(path, 2) == (Leaf("a", 1), Fusion(("b", "c"), (Leaf("b", 2),)))
    assert active(path, 3) == path


def rows_a_layer(compositions: list[Composition], layers: int = 12) -> list[int]:
    return [len(stage.steps) for stage in plan(compositions, layers).stages for _ in stage.layers]


def test_rows_are_replicated_where_they_first_differ() -> None:
    tasks = [f"task{i}" for i in range(8)]
    assert rows_a_layer([Drop(Parallel(*tasks), 5)]) == [1] * 5 + [8] * 7
    assert rows_a_layer([Parallel(Drop("a", 2), Drop("b", 4))], 6) == [1, 1, 2, 2, 2, 2]
    assert rows_a_layer([Stack("de", Drop(Parallel("a", "b"), 3))], 5) == [1, 1, 1, 2, 2]
    assert rows_a_layer(["a", "a", None], 3) == [3, 3, 3]
    assert rows_a_layer([Parallel("a", "a"), Drop("b", 3)], 3) == [2, 2, 2]


def test_rows_with_the_same_steps_become_neighbours_and_those_without_come_last() -> None:
    (stage,) = plan([None, "b", "a", "b", None, "a"], 3).stages
    assert stage.source == (2, 5, 1, 3, 0, 4)
    assert stage.steps == ((A,), (A,), (B,), (B,), (), ())


def test_every_path_ends_in_its_row() -> None:
    planned = plan([Parallel("a", Drop("b", 1)), None, Parallel("c", "c")], 2)
    below, above = planned.stages
    assert below == Stage(range(1), (0, 2, 0, 1), ((A,), (C,), (), ()))
    assert above == Stage(range(1, 2), (0, 2, 1, 3), ((A,), (Leaf("b", 1),), (C,), ()))
    assert planned.results == ((0, 1), (3,), (2, 2))


def test_an_adapter_starts_where_it_has_weights() -> None:
    below, above = plan(["a"], 4, {"a": 3}).stages
    assert (below.layers, below.steps) == (range(3), ((),))
    assert (above.layers, above.steps) == (range(3, 4), ((Leaf("a", 3),),))


def test_a_depth_beyond_the_layers_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="0 to 12"):
        plan([Drop("a", 13)], 12)
    assert [stage.steps for stage in plan([Drop("a", 12)], 12).stages] == [((),)]
