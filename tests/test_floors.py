"""The package's floors: a module imports only from floors below it, wherever in the file the import stands.

The import graph is drawn from the source, so that an import inside a function counts as well. Modules of one room may
import each other, without a cycle; rooms that share a floor may not, unless they are listed as neighbours.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "polyglance"

FLOORS = [
    {"errors", "types", "languages", "config", "query", "text", "atomic"},
    {"data", "scenes", "store", "kernels", "one_save"},
    {"nn", "adapters"},
    {"models"},
    {"search", "answering", "indexing", "training"},
    {"library", "evaluation"},
    {"cli", "server", "__main__"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
NEIGHBOURS = {
    ("languages", "errors"),
    ("config", "errors"),
    ("types", "errors"),
    ("query", "errors"),
    ("query", "text"),
    ("scenes", "data"),  # things of a scene are drawn from the gallery's pictures
    ("nn", "adapters"),  # a layer has places for adapters; adapters know no layer
    ("evaluation", "library"),  # measures run over libraries
    ("__main__", "cli"),
}
"""Arrows allowed between rooms of one floor: the first may import the second."""


def name_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in sorted(PACKAGE.rglob("*.py"))}


def type_checking_only(tree: ast.AST) -> set[ast.AST]:
    """Every node below `if TYPE_CHECKING:`; such an import never runs."""
    guards = (node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    return {inner for guard in guards for statement in guard.body for inner in ast.walk(statement)}


def imports_of(module: str) -> Iterator[str]:
    """The package's own modules that `module` imports anywhere in its source, by the longest name that is a module."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    ignored = type_checking_only(tree)
    for node in ast.walk(tree):
        if node in ignored:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute in this package"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "polyglance":
                while name not in MODULES:
                    name = name.rpartition(".")[0]
                yield name


GRAPH = {module: set(imports_of(module)) - {module} for module in MODULES}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "polyglance"


def complaint(importer: str, imported: str) -> str | None:
    """Why room `importer` may not import room `imported`, or None."""
    if importer == imported or imported == "polyglance" or (importer, imported) in NEIGHBOURS:
        return None
    if FLOOR_OF[importer] > FLOOR_OF[imported]:
        return None
    direction = "up" if FLOOR_OF[importer] < FLOOR_OF[imported] else "sideways"
    return f"{direction}: {importer} (floor {FLOOR_OF[importer]}) imports {imported} (floor {FLOOR_OF[imported]})"


def test_every_room_has_a_floor():
    rooms = {room_of(module) for module in MODULES} - {"polyglance"}
    assert rooms <= set(FLOOR_OF), f"rooms without a floor: {sorted(rooms - set(FLOOR_OF))}"


def test_no_arrow_points_up_or_sideways():
    wrong = [
        f"{module} -> {imported}: {reason}"
        for module, targets in GRAPH.items()
        for imported in sorted(targets)
        if module != "polyglance" and (reason := complaint(room_of(module), room_of(imported)))
    ]
    assert not wrong, "\n".join(wrong)


def cycle_in(graph: Mapping[str, Collection[str]]) -> list[str]:
    """The modules of a cycle in the order in which they import each other; none if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_no_cycle():
    assert cycle_in({"a": ["b"], "b": ["a"]})
    assert cycle_in({module: targets for module, targets in GRAPH.items() if module != "polyglance"}) == []


def test_the_package_itself_imports_no_room():
    assert not GRAPH["polyglance"], "the public names of polyglance/__init__.py are imported when first used"


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("search", "models", True),
        ("cli", "errors", True),
        ("models", "search", False),
        ("search", "answering", False),
        ("training", "search", False),
        ("adapters", "nn", False),
        ("store", "models", False),
    ],
)
def test_the_rule_itself(importer, imported, allowed):
    assert (complaint(importer, imported) is None) == allowed
