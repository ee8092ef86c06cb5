"""What pictures show, in GQA's form (arXiv:1902.09506, section 3.1), which `polyglance scenes make` writes as well.

    {"PICTURE": {"objects": {"ID": {"name", "attributes": [...], "relations": [{"name", "object": "ID"}]}}, "location"}}

A picture's `location` and `weather` may be left out, and so may an object's `attributes`, `relations` and `category`,
which GQA's lack. Where an object stands (`x`, `y`, `w`, `h`) is not read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyglance.data.lines import Row, named, short, text_of
from polyglance.data.questions import read_json
from polyglance.errors import DataError


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
    found, wrong = {}, []
    for picture, row in document.items():
        try:
            found[picture] = _graph(row)
        except ValueError as error:
            wrong.append(f"picture {picture}: {error}")
    if wrong:
        raise DataError(f"{path}: {named(wrong)}")
    return found


def _graph(row: Any) -> SceneGraph:
    """Raises ValueError with the reason where it is none."""
    if not (isinstance(row, dict) and isinstance(objects := row.get("objects"), dict)):
        raise ValueError(f'expected {{"objects": {{...}}}}, got {short(row)}')
    words, relations = set(_texts(row, "location", "weather")), set[str]()
    wrong = []
    for key, one in objects.items():
        try:
            if not isinstance(one, dict):
                raise ValueError(f"expected an object, got {short(one)}")
            words |= {text_of(one, "name"), *_texts(one, "category"), *_attributes(one)}
            relations |= set(_relations(one, objects))
        except ValueError as error:
            wrong.append(f"object {key}: {error}")
    if wrong:
        raise ValueError(named(wrong))
    return SceneGraph(frozenset(words), frozenset(relations))


def _texts(row: Row, *keys: str) -> Iterator[str]:
    """Of those keys that the row has."""
    return (text_of(row, key) for key in keys if key in row)


def _attributes(row: Row) -> list[str]:
    match row.get("attributes", []):
        case [*texts] if all(isinstance(text, str) for text in texts):
            return texts
        case other:
            raise ValueError(f"expected attributes to be a list of texts, got {short(other)}")


def _relations(row: Row, objects: Mapping[str, object]) -> Iterator[str]:
    relations = row.get("relations", [])
    if not isinstance(relations, list):
        raise ValueError(f"expected relations to be a list, got {short(relations)}")
    for relation in relations:
        match relation:
            case {"name": str(name), "object": str(other)} if other in objects:
                yield name
            case _:
                raise ValueError(
                    f'expected a relation {{"name", "object"}} to an object of the graph, got {short(relation)}'
                )
