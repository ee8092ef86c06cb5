"""The texts of a step: captions are true, foils and near scenes are not, and held-out names never come."""

from collections.abc import Callable, Sequence

import torch

from experiments.pretraining.joint_batches import WordSource
from experiments.pretraining.picture_stage import CELLS, FACTS, scene_targets
from polyglance.data.gallery import gallery
from polyglance.languages import DEMO_LANGUAGES
from polyglance.models.protocol import TextBatch
from polyglance.scenes.sampling import sample_scene
from polyglance.scenes.truth import SceneIndex, caption_holds
from polyglance.scenes.world import EMOJI_OF


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
