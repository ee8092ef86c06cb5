"""The protocol of Flickr8k on tiny networks: pools, several captions a photograph, judgements, rows and tables."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from experiments.flickr8k.__main__ import COOPERATIVE, KEYS, Run
from experiments.flickr8k.measures import Reading, coop_rows, figures, judgement_row, pair_rows, sampled, tau, twin_row
from experiments.flickr8k.photographs import LANGUAGES, Judgement, read_judgements, read_photographs
from experiments.flickr8k.settings import SMALL
from experiments.flickr8k.tables import side_by_side, tables
from experiments.flickr8k.training import CROSS, JOINT, TWIN, World
from experiments.results import Results
from polyglance.errors import DataError
from polyglance.evaluation.pools import Pool
from polyglance.evaluation.retrieval import Ranking
from tests.backbone_checkpoints import composed

COLOURS = ("red", "white", "black", "blue", "green", "yellow")
EACH = 6
JOINT_LAYERS = 1
ALL = (TWIN, CROSS, JOINT)


def write(folder: Path, test_also_in_train: bool = False) -> Path:
    """Captions of six photographs a split: two in English, one in other languages, none for the first and in French
    none of the test split."""
    (folder / "images").mkdir(parents=True)
    lines: dict[str, list[dict[str, str]]] = {code: [] for code in LANGUAGES}
    for split in ("train", "val", "test"):
        for number in range(EACH):
            image = f"images/{split}-{number}.png"
            Image.new("RGB", (40, 30), COLOURS[number]).save(folder / image)
            for code in LANGUAGES:
                if code == "en" or (number and not (code == "fr" and split == "test")):
                    said = [f"{code} a {COLOURS[number]} star", f"{code} plate of {split}"][: 2 if code == "en" else 1]
                    lines[code] += [{"image": image, "caption": one, "language": code, "split": split} for one in said]
    if test_also_in_train:
        lines["zh"].append({**lines["zh"][-1], "split": "train"})
    for code, of_language in lines.items():
        text = "".join(json.dumps(line) + "\n" for line in of_language)
        (folder / f"captions.{code}.jsonl").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("flickr8k") / "data")


@pytest.fixture(scope="module")
def world(data: Path) -> World:
    """A run whose networks are tiny, at the place of those that it would compose."""
    folder = data.with_name("run")
    composed(folder / "minilm")
    return World(SMALL, folder, read_photographs(data), lambda *told: None)


def test_a_photograph_in_two_splits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one split"):
        read_photographs(write(tmp_path, test_also_in_train=True))


def test_every_language_searches_all_photographs_of_the_split(data: Path) -> None:
    photographs = read_photographs(data)
    english, german = (photographs.pool("test", code) for code in ("en", "de"))
    assert german.images == english.images
    assert len(english.images) == EACH
    assert [german.images[fits[0]].name for fits in german.fits] == [f"test-{n}.png" for n in range(1, EACH)]
    assert photographs.of("test", ["fr"]) == []
    assert {one.language for one in photographs.of("train", ["en", "cs"])} == {"en", "cs"}


def test_few_photographs_are_the_first_of_each_split(data: Path) -> None:
    few = read_photographs(data, few=2)
    assert [path.name for path in few.images("train")] == ["train-0.png", "train-1.png"]
    assert [path.name for path in few.images("test")] == ["test-0.png", "test-1.png"]


def test_a_picture_is_found_by_any_of_its_captions() -> None:
    pool = Pool("en", ("a", "b", "c", "d"), (Path("x"), Path("y")), ((0,), (0,), (1,), (1,)))
    found = figures(pool, "image_to_text", Ranking(torch.tensor([[1, 2, 0, 3], [0, 1, 2, 3]])))
    assert found == {"R@1": 50.0, "R@5": 100.0, "R@10": 100.0}
    some = figures(pool, "image_to_text", Ranking(torch.tensor([[0, 1]])), queries=[1])
    assert some == {"R@1": 0.0, "R@5": 0.0, "R@10": 0.0}
    assert sampled(pool, "text_to_image", 2) == [0, 2]
    assert sampled(pool, "image_to_text", 9) == [0, 1]


def test_a_photograph_without_a_caption_is_no_query(world: World) -> None:
    pool = Pool("de", ("a",), (Path("x"), Path("y")), ((0,),))
    assert figures(pool, "image_to_text", Ranking(torch.tensor([[0], [0]])))["R@1"] == 100
    german = twin_row(world.reading(world.composed(), world.photographs.pool("val", "de"), "val"))
    assert german["image_to_text"]["R@10"] == 100


def test_all_pairs_and_candidates_are_of_the_same_queries(world: World) -> None:
    model = world.trained("joint", 0)
    reading = world.reading(model, world.photographs.pool("val", "en"), "val")
    every, few = pair_rows(reading, SMALL)
    assert (every["candidates"], few["candidates"]) == (None, 20)
    assert every["text_to_image"] == few["text_to_image"]  # six photographs: all are candidates
    queries = sampled(reading.pool, "text_to_image", SMALL.all_pairs[0])
    best = reading.logits("text_to_image", torch.tensor(queries), torch.arange(EACH).expand(len(queries), -1))
    right = [reading.pool.fits[query][0] for query in queries]
    expected = 100 * sum(int(a == b) for a, b in zip(best.argmax(dim=1).tolist(), right, strict=True)) / len(queries)
    assert every["text_to_image"]["R@1"] == round(expected, 2)


class Knowing(Reading):
    """Says more of what is right, in logits whose probabilities are all 1."""

    def logits(self, direction, queries, chosen):
        right = self.pool.right(direction)
        rows = zip(queries.tolist(), chosen.tolist(), strict=True)
        return torch.tensor([[50.0 + (item in right[query]) for item in items] for query, items in rows])


def test_candidates_are_put_in_order_by_their_logits(world: World) -> None:
    reading = world.reading(world.composed(), world.photographs.pool("val", "en"), "val")
    cross = Knowing(reading.model, reading.pool, reading.images, reading.texts)
    (row,) = coop_rows(reading, cross, replace(SMALL, candidates=(EACH,), blends=()))
    assert twin_row(reading)["text_to_image"]["R@1"] < 50
    assert row["text_to_image"]["R@1"] == 100


def test_judgements_of_own_captions_are_left_out(data: Path) -> None:
    rows = [
        {"image": "images/test-0.png", "caption": "a", "scores": [1, 1, 2], "of": "images/test-1.png"},
        {"image": "images/test-0.png", "caption": "b", "scores": [4, 4, 4], "of": "images/test-0.png"},
        {"image": "images/train-0.png", "caption": "c", "scores": [1, 1, 1], "of": "images/test-0.png"},
    ]
    (data / "judgements.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (only,) = read_judgements(read_photographs(data).images("test"), data)
    assert (only.caption, only.scores) == ("a", (1, 1, 2))


def test_agreement_is_that_of_each_caption_with_its_photograph(world: World) -> None:
    photographs = world.photographs.images("test")
    reading = world.reading(world.composed(), world.photographs.pool("test", "en"), "test")
    captions = [reading.pool.texts[2 * number] for number in range(EACH)]
    pool = Pool("en", tuple(captions), photographs, ())
    reading = world.reading(world.composed(), pool, "test")
    cosines = (reading.text_vectors * reading.image_vectors).sum(dim=1)
    ranks = cosines.argsort().argsort().tolist()
    judged = [Judgement(photographs[n], captions[n], (rank, rank, rank)) for n, rank in enumerate(ranks)]
    row = judgement_row(reading, judged)
    assert row == {"judged": EACH, "cosine": {"mean": 100.0, "each": 100.0}}
    turned = judgement_row(reading, [replace(one, scores=(EACH - one.scores[0],) * 3) for one in judged])
    assert turned["cosine"] == {"mean": -100.0, "each": -100.0}
    assert tau([1, 2, 3, 4], [1, 1, 2, 2]) == 100.0  # tau-c reaches its extremes in tables that are not square


def test_rows_are_measured_once_and_make_tables(world: World, tmp_path: Path) -> None:
    results = Results("flickr8k", tmp_path, KEYS)
    run = Run(world, 0, "test", results)
    run.systems("systems", "en", COOPERATIVE)
    run.states()
    Run(replace(world, grid=1), 0, "test", results).states()
    run.depths()
    counted = len(results.rows)
    orders = len(SMALL.candidates) + len(SMALL.blends)
    assert counted == 1 + 2 * orders + 2 * 3 + JOINT_LAYERS + 1
    assert {row["tokens"] for row in results.rows if row["part"] == "states"} == {world.grid**2, 1}
    before = results.path.read_bytes()
    run.systems("systems", "en", COOPERATIVE)
    run.states()
    run.depths()
    assert results.path.read_bytes() == before
    drawn = tables(results.rows)
    twin = next(row for row in results.rows if row["system"] == "twin")
    assert f"| **twin** | {twin['text_to_image']['R@1']:.1f} |" in drawn
    assert "| Fisher vectors (Klein et al. 2015) | 21.3 |" in drawn


def test_the_joint_model_begins_from_the_cross_encoder_and_keeps_the_twin_encoder(world: World) -> None:
    twin, cross, joint = (
        world.reading(world.trained(one, 0), world.photographs.pool("val", "en"), "val") for one in ALL
    )
    for other in (cross, joint):
        assert torch.equal(other.text_vectors, twin.text_vectors)
        torch.testing.assert_close(other.image_vectors, twin.image_vectors, atol=0.02, rtol=0)  # stored in 8 bits
    assert (cross.model.cosine_weight, twin.model.task_adapters) == (0, None)
    assert joint.model.cosine_weight == pytest.approx(1 / joint.model.config.temperature)
    assert cross.model.config.task_adapters
    moved = joint.model.match_head.weight - cross.model.match_head.weight
    assert 0 < moved.abs().max() < 0.1


def test_scenes_and_photographs_stand_side_by_side() -> None:
    def row(system: str, recall: float, **more: object) -> dict:
        both = {one: {"R@1": recall} for one in ("text_to_image", "image_to_text")}
        return {"part": "systems", "system": system, **both, **more}

    scenes = [row("twin", 80.0, pool=1000), row("twin", 30.0, pool=50_000)]
    scenes += [row("joint coop", 90.0 + k, pool=1000, candidates=k, blend=0.0) for k in (5, 20)]
    photographs = [row("twin", 20.0, split=split) for split in ("test", "val")]
    photographs += [
        row("joint coop", 25.0, split="test", candidates=20),
        row("joint coop", 9.0, split="test", blend=0.0),
    ]
    assert side_by_side(scenes, photographs).splitlines()[2:] == [
        "| twin | 80.0 | 80.0 | 20.0 | 20.0 |",
        "| separate coop |  |  |  |  |",
        "| joint coop | 110.0 | 110.0 | 25.0 | 25.0 |",
    ]
