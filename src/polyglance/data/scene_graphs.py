"""Reads scene graphs in GQA's format (arXiv:1902.09506, section 3.1), which `polyglance scenes make` also writes.

    {"PICTURE": {"objects": {"ID": {"name", "attributes": [...], "relations": [{"name", "object": "ID"}]}}, "location"}}

A picture's `location` and `weather` are optional, and so are an object's `attributes`, `relations` and `category` (GQA
has no categories). The position of an object (`x`, `y`, `w`, `h`) is not read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from polyglance.data.forms import Form, Text, checked
from polyglance.data.lines import parse_all, read_json, short
from polyglance.errors import DataError


class _Relation(Form):
    name: str
    object: str


class _Object(Form):
    name: Text
    category: Text | None = None
    attributes: list[str] = Field(default_factory=list)
    relations: list[_Relation] = Field(default_factory=list)


class _Graph(Form):
    objects: dict[str, _Object]
    location: Text | None = None
    weather: Text | None = None


@dataclass(frozen=True)
class SceneGraph:
    """The content of a picture.

    words: the names, categories and attributes of its objects, its location and its weather. relations: the names of
    relations between objects, such as `to the left of`.
    """

    words: frozenset[str]
    relations: frozenset[str]

    def shows(self, answer: str) -> bool:
        """Whether the answer is one of the words, or part of a relation's name, such as `left`."""
        return answer in self.words or any(f" {answer} " in f" {relation} " for relation in self.relations)


def read_scene_graphs(path: Path) -> dict[str, SceneGraph]:
    """Reads the scene graphs by picture name without a suffix.

    Raises DataError if the file is missing, empty or in another format, or has wrong objects, which the error names.
    """
    document = read_json(path, "scene graphs")
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected an object of scene graphs by picture, got {short(document)}")
    if not document:
        raise DataError(f"{path}: expected scene graphs, but there is none")
    rows = ((f"picture {picture}", row) for picture, row in document.items())
    graphs = parse_all(path, rows, lambda _, row: _graph(row))
    return dict(zip(document, graphs.values(), strict=True))


def _graph(row: Any) -> SceneGraph:
    """Parses a scene graph. Raises ValueError with the reason if it is not one."""
    graph = checked(_Graph, row)
    words = {graph.location, graph.weather}
    relations = set[str]()
    for one in graph.objects.values():
        words |= {one.name, one.category, *one.attributes}
        for relation in one.relations:
            if relation.object not in graph.objects:
                raise ValueError(
                    f"expected {relation.name!r} to be a relation to an object of the graph, got {relation.object!r}"
                )
            relations.add(relation.name)
    return SceneGraph(frozenset(word for word in words if word is not None), frozenset(relations))
