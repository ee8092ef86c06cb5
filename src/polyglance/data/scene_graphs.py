"""What pictures show, in GQA's form (arXiv:1902.09506, section 3.1), which `polyglance scenes make` writes as well.

    {"PICTURE": {"objects": {"ID": {"name", "attributes": [...], "relations": [{"name", "object": "ID"}]}}, "location"}}

A picture's `location` and `weather` may be left out, and so may an object's `attributes`, `relations` and `category`,
which GQA's lack. Where an object stands (`x`, `y`, `w`, `h`) is not read.
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
    """words: the names, categories and attributes of a picture's objects, its place and its weather. relations: the
    names of those between its objects, such as `to the left of`."""

    words: frozenset[str]
    relations: frozenset[str]

    def shows(self, answer: str) -> bool:
        """Whether the answer is one of the words, or stands in a relation's name: `left`."""
        return answer in self.words or any(f" {answer} " in f" {relation} " for relation in self.relations)


def read_scene_graphs(path: Path) -> dict[str, SceneGraph]:
    """By the names of the pictures, without a suffix.

    Raises DataError for a file that is missing, empty or of another form, and for wrong objects; all of these are named
    together.
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
    """Raises ValueError with the reason where it is none."""
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
