"""Scene graphs in GQA's form, written by hand and by `polyglance scenes make`."""

import json
from pathlib import Path

import pytest

from polyglance.data.scene_graphs import SceneGraph, read_scene_graphs
from polyglance.errors import DataError
from polyglance.scenes.make import scene_graph
from polyglance.scenes.sampling import sample_scene

STREET = {
    "width": 640,
    "height": 480,
    "location": "street",
    "weather": "cloudy",
    "objects": {
        "271": {"name": "traffic light", "x": 1, "y": 2, "w": 3, "h": 4, "attributes": ["green"], "relations": []},
        "272": {
            "name": "man",
            "x": 0,
            "y": 0,
            "w": 9,
            "h": 9,
            "attributes": [],
            "relations": [{"name": "to the left of", "object": "271"}, {"name": "wearing", "object": "273"}],
        },
        "273": {"name": "hat"},
    },
}


def write(folder: Path, document: object) -> Path:
    path = folder / "graphs.json"
    path.write_text(json.dumps(document))
    return path


def test_a_graph_says_what_the_picture_shows(tmp_path: Path) -> None:
    graphs = read_scene_graphs(write(tmp_path, {"n123": STREET, "empty": {"objects": {}}}))
    assert graphs["empty"] == SceneGraph(frozenset(), frozenset())
    street = graphs["n123"]
    assert street.words == {"street", "cloudy", "traffic light", "green", "man", "hat"}
    assert street.relations == {"to the left of", "wearing"}
    shown = {answer: street.shows(answer) for answer in ("hat", "green", "left", "to the left of", "cloudy", "wearing")}
    assert all(shown.values()), shown
    absent = {answer: street.shows(answer) for answer in ("dog", "light", "right", "lef", "wear", "", " ")}
    assert not any(absent.values()), absent


def test_drawn_scenes_are_read_as_they_are_written(tmp_path: Path) -> None:
    scenes = [sample_scene(seed) for seed in range(50)]
    graphs = read_scene_graphs(write(tmp_path, {str(scene.seed): scene_graph(scene) for scene in scenes}))
    for scene in scenes:
        plates = {thing.plate for thing in scene.things if thing.plate}
        colours = {thing.colour for thing in scene.things if thing.colour}
        expected = {value for thing in scene.things for value in (thing.kind, thing.category, thing.size)}
        expected |= {scene.background, *plates, *colours, *({"plate"} if plates else ())}
        assert graphs[str(scene.seed)].words == expected


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([STREET], "expected an object of scene graphs by picture"),
        ({}, "expected scene graphs, but there is none"),
        (
            {"a": STREET, "b": {"width": 3}, "c": 3},
            "picture b: objects is missing; picture c: expected an object, got 3",
        ),
        (
            {"a": {"objects": {"1": {"name": " "}, "2": 3}}},
            "picture a: objects.1.name is empty; expected objects.2 to be an object, got 3",
        ),
        ({"a": {"objects": {"1": {"attributes": []}}}}, "picture a: objects.1.name is missing"),
        (
            {"a": {"objects": {"1": {"name": "x", "attributes": "red"}}}},
            "expected objects.1.attributes to be a list, got 'red'",
        ),
        (
            {"a": {"objects": {"1": {"name": "x", "attributes": [1]}}}},
            "expected objects.1.attributes.0 to be a text, got 1",
        ),
        ({"a": {"objects": {"1": {"name": "x", "relations": {}}}}}, "expected objects.1.relations to be a list"),
        (
            {"a": {"objects": {"1": {"name": "x", "relations": [{"name": "on", "object": "9"}]}}}},
            "of the graph, got '9'",
        ),
        ({"a": {"objects": {}, "location": 3}}, "picture a: expected location to be a text, got 3"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, document: object, reason: str) -> None:
    with pytest.raises(DataError, match=rf"graphs\.json: .*{reason}") as caught:
        read_scene_graphs(write(tmp_path, document))
    assert "\n" not in str(caught.value)


def test_no_file_and_no_json(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a file of scene graphs"):
        read_scene_graphs(tmp_path / "nowhere.json")
    (tmp_path / "torn.json").write_text('{"a"')
    with pytest.raises(DataError, match="no JSON"):
        read_scene_graphs(tmp_path / "torn.json")
