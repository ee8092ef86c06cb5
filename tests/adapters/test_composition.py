import pytest

from polyglance.adapters.composition import Composition, Drop, Fuse, Fusion, Leaf, Parallel, Stack, active, paths, plan
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
        (Fuse("a", "b"), [(Fusion(((A,), (B,))),)]),
        (Stack("c", Fuse("a", "b")), [(C, Fusion(((A,), (B,))))]),
        (Fuse(Stack("a", "b"), "c"), [(Fusion(((A, B), (C,))),)]),
        (Drop("a", 3), [(Leaf("a", 3),)]),
        (Drop(Parallel("a", Drop("b", 5)), 3), [(Leaf("a", 3),), (Leaf("b", 5),)]),
        (Drop(Fuse("a", "b"), 2), [(Fusion(((Leaf("a", 2),), (Leaf("b", 2),))),)]),
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
        (lambda: Drop("a", -1), "0 or more"),
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
    (path,) = paths(Stack(Drop("a", 1), Fuse(Drop("b", 2), Drop(Stack("c", "d"), 3))))
    assert active(path, 0) == ()
    assert active(path, 1) == (Leaf("a", 1),)
    assert active(path, 2) == (Leaf("a", 1), Fusion(((Leaf("b", 2),),)))
    assert active(path, 3) == path


def rows_a_layer(compositions: list[Composition], layers: int = 12) -> list[int]:
    return [len(layer.steps) for layer in plan(compositions, layers).layers]


def test_rows_are_replicated_where_they_first_differ() -> None:
    tasks = [f"task{i}" for i in range(8)]
    assert rows_a_layer([Drop(Parallel(*tasks), 5)]) == [1] * 5 + [8] * 7
    assert rows_a_layer([Parallel(Drop("a", 2), Drop("b", 4))], 6) == [1, 1, 2, 2, 2, 2]
    assert rows_a_layer([Stack("de", Drop(Parallel("a", "b"), 3))], 5) == [1, 1, 1, 2, 2]
    assert rows_a_layer(["a", "a", None], 3) == [3, 3, 3]
    assert rows_a_layer([Parallel("a", "a"), Drop("b", 3)], 3) == [2, 2, 2]


def test_the_layers_counted_are_those_of_the_formula() -> None:
    """The share saved is (T-1) n / (1 + (L-1) T): a layer is run for the rows below it, up to its first adapter."""
    tasks, depth, layers = 8, 5, 12

    def cost(depth: int) -> int:
        rows = rows_a_layer([Drop(Parallel(*(f"task{i}" for i in range(tasks))), depth)], layers)
        return 1 + sum(rows[:-1])

    assert (cost(0) - cost(depth)) / cost(0) == pytest.approx((tasks - 1) * depth / (1 + (layers - 1) * tasks))


def test_every_path_ends_in_its_row() -> None:
    planned = plan([Parallel("a", Drop("b", 1)), None, Parallel("c", "c")], 2)
    assert planned.results == ((0, 1), (2,), (3, 3))
    assert planned.layers[0].source == (0, 0, 1, 2)
    assert planned.layers[1].source == (0, 1, 2, 3)
    assert planned.layers[0].steps == ((A,), (), (), (C,))
    assert planned.layers[1].steps[1] == (Leaf("b", 1),)


def test_a_depth_beyond_the_layers_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="0 to 12"):
        plan([Drop("a", 13)], 12)
    assert [layer.steps for layer in plan([Drop("a", 12)], 12).layers] == [((),)] * 12
