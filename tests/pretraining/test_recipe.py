"""Training from nothing, at a thousandth of its size: it runs through, learns, resumes, and leaves a usable model."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from polyglance.data.gallery import gallery
from polyglance.errors import ConfigurationError
from polyglance.languages import DEMO_LANGUAGES
from polyglance.models import load_model
from polyglance.models.checkpoint import load_folder
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.protocol import TextBatch
from polyglance.pretraining.joint_batches import WordSource
from polyglance.pretraining.picture_stage import CELLS, FACTS, scene_targets
from polyglance.pretraining.recipe import ScenesMiniSettings, go_on_from, train_scenes_mini
from polyglance.scenes.sampling import sample_scene
from polyglance.scenes.truth import SceneIndex, caption_holds
from polyglance.scenes.world import EMOJI_OF
from polyglance.training.loop import read_log

TINY = ScenesMiniSettings(
    scenes=24,
    gallery=60,
    vocabulary=700,
    picture_steps=3,
    shape_steps=2,
    picture_batch=4,
    gallery_batch=2,
    text_steps=4,
    texts=8,
    text_names=4,
    word_steps=4,
    task_steps=3,
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
    stages = ("pictures", "shapes", "texts", "words", "tasks")
    assert [len(list(read_log(run / f"{stage}.jsonl"))) for stage in stages] == [3, 2, 4, 4, 3]
    assert (run / "losses.png").read_bytes()[:4] == b"\x89PNG"
    row = next(iter(read_log(run / "words.jsonl")))
    assert {"embed", "match", "foil", "rank", "fragments", "cells", "cells_question", "answer"} <= row.keys()


def test_the_same_seed_gives_the_same_model_and_a_finished_run_is_not_repeated(run: Path, tmp_path: Path) -> None:
    train_scenes_mini(TINY, tmp_path)
    before = (run / "model" / "model.safetensors").read_bytes()
    assert before == (tmp_path / "model" / "model.safetensors").read_bytes()
    calls: list[str] = []
    train_scenes_mini(TINY, run, lambda stage, *_: calls.append(stage))
    assert calls == []
    assert before == (run / "model" / "model.safetensors").read_bytes()


def test_it_goes_on_from_a_model_with_fewer_joint_layers(run: Path, tmp_path: Path) -> None:
    done = load_folder(run / "model", torch.float32)
    config = replace(done.config, task_adapters=None)
    smaller = SingleStreamModel(replace(config, layers=6), done.tokenizer).eval()
    smaller.load_state_dict(done.state_dict(), strict=False)
    grown = SingleStreamModel(config, done.tokenizer).eval()
    go_on_from(smaller, grown)
    text = smaller.tokenize(["a red star", "ein Hund"])
    torch.testing.assert_close(grown.embed(grown.read_text(text)), smaller.embed(smaller.read_text(text)))
    trained = train_scenes_mini(TINY, tmp_path, start=smaller)
    assert torch.equal(trained.stem.state_dict()["blocks.0.weight"], done.stem.state_dict()["blocks.0.weight"])
    assert not torch.equal(trained.expand_text.weight, done.expand_text.weight)
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == ["tasks.jsonl", "words.jsonl"]
    with pytest.raises(ConfigurationError, match="name another folder"):
        train_scenes_mini(TINY, tmp_path)


def test_the_tasks_adapters_are_trained_in_a_body_that_stays_as_it_is(run: Path, tmp_path: Path) -> None:
    start = load_folder(run / "model", torch.float32)
    before = {name: value.clone() for name, value in start.state_dict().items()}
    trained = train_scenes_mini(TINY, tmp_path, start=start, tasks_alone=True)
    after = trained.state_dict()
    changed = {name.split(".")[0] for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == {"task_adapters", "embed_head", "match_head", "answer_head"}
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == ["tasks.jsonl"]
    with pytest.raises(ConfigurationError, match="name one with --from"):
        train_scenes_mini(TINY, tmp_path / "other", tasks_alone=True)


def test_targets_say_what_stands_in_each_cell() -> None:
    scenes = [sample_scene(seed) for seed in range(50)]
    classes, places = scene_targets(scenes)
    cells = classes[:, :-1].view(len(scenes), CELLS, len(FACTS))
    assert [(row[:, 0] > 0).sum() for row in cells] == [len(scene.things) for scene in scenes]
    assert places.abs().max() <= 1
    assert not torch.equal(classes[0], classes[1])


def source(captions: int, names: int, listen: Callable[[Sequence[str]], TextBatch], scenes: int = 4) -> WordSource:
    drawn = SceneIndex([sample_scene(seed) for seed in range(scenes)])
    return WordSource(drawn, gallery(), DEMO_LANGUAGES, listen, 0, captions, names, 1)


def no_ids(said: Sequence[str]) -> TextBatch:
    return TextBatch(torch.zeros(len(said), 1, dtype=torch.long), torch.ones(len(said), 1, dtype=torch.bool))


def test_captions_are_true_of_their_scene_and_foils_and_near_scenes_are_not() -> None:
    draw = source(24, 2, no_ids, scenes=200)
    for batch in map(draw, range(6)):
        for caption, foil, row, near in zip(
            batch.captions, batch.false_captions, batch.rows, batch.near_rows, strict=False
        ):
            assert caption_holds(draw.scenes[row], caption)
            assert caption_holds(draw.scenes[row], foil) is False
            assert near >= 0
            assert caption_holds(draw.scenes[near], caption) is False


def test_what_may_be_true_is_no_negative() -> None:
    draw = source(60, 300, no_ids, scenes=100)
    ids = [entry.id for entry in gallery()]
    batches = list(map(draw, range(6)))
    for batch in batches:
        assert batch.also_true.diagonal().all()
        for i, caption in enumerate(batch.captions):
            for j, row in enumerate(batch.rows[:60]):
                assert bool(batch.also_true[i, j]) is (caption_holds(draw.scenes[row], caption) is not False)
        for i, row in enumerate(batch.rows[60:] - 100, 60):
            shown = [any(EMOJI_OF.get(t.kind) == ids[row] for t in draw.scenes[s].things) for s in batch.rows[:60]]
            assert batch.also_true[i, :60].tolist() == shown
    told_more = [bool(b.also_true[i, -1]) for b in batches for i, c in enumerate(b.captions) if len(c) > 1]
    assert not any(told_more)
    assert any(bool(b.also_true[i, -1]) for b in batches for i in range(60))


def test_a_tenth_of_the_names_is_held_out_and_never_trained_on() -> None:
    texts: list[str] = []

    def listen(said: Sequence[str]) -> TextBatch:
        texts.extend(said)
        return no_ids(said)

    entries = gallery()
    draw = source(1, 400, listen)
    for step in range(60):
        draw(step)
    held_out = {e.names[code] for e in entries for code in DEMO_LANGUAGES if e.name_is_held_out(code)}
    seen = {e.names[code] for e in entries for code in DEMO_LANGUAGES if not e.name_is_held_out(code)}
    assert 0.09 < len(held_out) / len(held_out | seen) < 0.11
    assert not set(texts) & (held_out - seen)
    assert len(set(texts) & seen) > 0.8 * len(seen)
