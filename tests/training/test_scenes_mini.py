"""Training from nothing, at a thousandth of its size: it runs through, learns, resumes, and leaves a usable model."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from polyglance.data.gallery import gallery
from polyglance.languages import DEMO_LANGUAGES
from polyglance.models import load_model
from polyglance.models.protocol import TextBatch
from polyglance.scenes.sampling import sample_scene
from polyglance.training.loop import read_log
from polyglance.training.scene_graphs import CELLS, FACTS, scene_targets
from polyglance.training.scenes_mini import ScenesMiniSettings, train_scenes_mini
from polyglance.training.words import WordSource

TINY = ScenesMiniSettings(
    scenes=24,
    vocabulary=700,
    picture_steps=3,
    shape_steps=2,
    picture_batch=4,
    gallery_batch=2,
    text_steps=4,
    texts=8,
    text_names=4,
    word_steps=4,
    captions=6,
    names=4,
    questions=4,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train_scenes_mini(TINY, folder)
    return folder


def test_it_leaves_a_model_logs_and_a_plot(run: Path) -> None:
    model = load_model(str(run / "model"))
    assert model.name == "scenes-mini"
    assert [len(list(read_log(run / f"{stage}.jsonl"))) for stage in ("pictures", "shapes", "texts", "words")] == [
        3,
        2,
        4,
        4,
    ]
    assert (run / "losses.png").read_bytes()[:4] == b"\x89PNG"
    row = next(iter(read_log(run / "words.jsonl")))
    assert {"embed", "match", "foil", "answer", "masked", "embed_names", "match_names"} <= row.keys()


def test_the_same_seed_gives_the_same_model_and_a_finished_run_is_not_repeated(run: Path, tmp_path: Path) -> None:
    train_scenes_mini(TINY, tmp_path)
    before = (run / "model" / "model.safetensors").read_bytes()
    assert before == (tmp_path / "model" / "model.safetensors").read_bytes()
    calls: list[str] = []
    train_scenes_mini(TINY, run, lambda stage, *_: calls.append(stage))
    assert calls == []
    assert before == (run / "model" / "model.safetensors").read_bytes()


def test_targets_say_what_stands_in_each_cell() -> None:
    scenes = [sample_scene(seed) for seed in range(50)]
    classes, places = scene_targets(scenes)
    cells = classes[:, :-1].view(len(scenes), CELLS, len(FACTS))
    assert [(row[:, 0] > 0).sum() for row in cells] == [len(scene.things) for scene in scenes]
    assert places.abs().max() <= 1
    assert not torch.equal(classes[0], classes[1])


def test_a_tenth_of_the_names_is_held_out_and_never_trained_on() -> None:
    texts: list[str] = []

    def listen(said: Sequence[str]) -> TextBatch:
        texts.extend(said)
        return TextBatch(torch.zeros(len(said), 1, dtype=torch.long), torch.ones(len(said), 1, dtype=torch.bool))

    entries = gallery()
    source = WordSource([sample_scene(seed) for seed in range(4)], entries, DEMO_LANGUAGES, listen, 0, 1, 400, 1)
    for step in range(60):
        source(step)
    held_out = {e.names[code] for e in entries for code in DEMO_LANGUAGES if e.name_is_held_out(code)}
    seen = {e.names[code] for e in entries for code in DEMO_LANGUAGES if not e.name_is_held_out(code)}
    assert 0.09 < len(held_out) / len(held_out | seen) < 0.11
    assert not set(texts) & (held_out - seen)
    assert len(set(texts) & seen) > 0.8 * len(seen)
