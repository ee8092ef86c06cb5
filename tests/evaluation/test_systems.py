"""Systems before a small pool, with a model that knows colours: what each should rank first can be said by hand."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from polyglance.errors import ConfigurationError, DataError
from polyglance.evaluation.pools import Pool, chance
from polyglance.evaluation.runs import merged
from polyglance.evaluation.systems import Evaluation, System
from polyglance.models.protocol import TextBatch
from polyglance.nn.states import TokenStates
from tests.fakes import COLOURS, ColourModel

MODEL = ColourModel()
TEXTS = ("red left", "red right", "blue left", "green")


def draw(path: Path, left: str, right: str) -> Path:
    image = Image.new("RGB", (8, 8), COLOURS[right])
    image.paste(COLOURS[left], (0, 0, 4, 8))
    image.save(path)
    return path


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    sides = (("red", "white"), ("white", "red"), ("blue", "white"), ("green", "green"))
    images = tuple(draw(tmp_path / f"{number}.png", *both) for number, both in enumerate(sides))
    return Pool("en", TEXTS, images, ((0,), (1,), (2,), (3,)))


def first(pool: Pool, system: System, direction="text_to_image", **more) -> list[int]:
    return [ranked[0] for ranked in Evaluation(system, [pool], **more).run(pool, direction)]


def test_the_twin_encoder_knows_colours_and_the_cross_encoder_sides(pool: Pool) -> None:
    twin = first(pool, System(MODEL, None))
    assert [twin[i] for i in (2, 3)] == [2, 3]
    assert set(twin[:2]) <= {0, 1}
    for system in (System(None, MODEL), System(MODEL, MODEL, 2), System(MODEL, ColourModel(), 3)):
        assert first(pool, system) == [0, 1, 2, 3]
        assert first(pool, system, "image_to_text")[:3] == [0, 1, 2]


def test_only_candidates_are_reranked_and_stand_before_the_others(pool: Pool) -> None:
    (twin,) = (Evaluation(System(MODEL, None), [pool]).run(pool, "text_to_image"),)
    coop = Evaluation(System(MODEL, MODEL, 1), [pool]).run(pool, "text_to_image")
    assert coop == twin
    assert all(sorted(ranked) == [0, 1, 2, 3] for ranked in coop)


def test_a_blend_of_one_is_the_order_of_the_twin_encoder(pool: Pool) -> None:
    twin = Evaluation(System(MODEL, None), [pool]).run(pool, "text_to_image")
    assert Evaluation(System(MODEL, MODEL, 4, blend=1.0), [pool]).run(pool, "text_to_image") == twin
    assert first(pool, System(MODEL, MODEL, 4, blend=0.01)) == [0, 1, 2, 3]


class ColourBlind(ColourModel):
    """A cross-encoder whose own vectors are all alike."""

    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        return torch.ones(len(states), self.embedding_dim) / 2


@pytest.fixture
def surer_or_nearer(tmp_path: Path) -> Pool:
    """The first picture is surer to match (its logit is 4 against 2, its probability 0.98 against 0.88), but the second
    one is nearer (its cosine is 0.99 against 0.71)."""
    surer, nearer = draw(tmp_path / "surer.png", "red", "white"), tmp_path / "nearer.png"
    image = Image.new("RGB", (8, 8), COLOURS["red"])
    image.paste(COLOURS["white"], (0, 0, 1, 8))
    image.save(nearer)
    return Pool("en", ("red left", "white"), (surer, nearer), ((0,), (0,)))


@pytest.mark.parametrize("reranker", [MODEL, ColourBlind()])
def test_a_blend_is_of_probabilities_and_of_the_retrievers_cosines(
    surer_or_nearer: Pool, reranker: ColourModel
) -> None:
    assert first(surer_or_nearer, System(MODEL, reranker, 2))[0] == 0
    assert first(surer_or_nearer, System(MODEL, reranker, 2, blend=0.5))[0] == 1


def test_a_blend_is_of_calibrated_probabilities(surer_or_nearer: Pool) -> None:
    """The cosine makes the logits so large that all probabilities are 1 before calibration."""
    reranker = ColourBlind(cosine_weight=100.0, calibration=(1.0, -100.0))
    assert first(surer_or_nearer, System(MODEL, reranker, 2, blend=0.01))[0] == 0


def test_distractors_enlarge_the_pool_of_pictures_alone(pool: Pool, tmp_path: Path) -> None:
    more = [draw(tmp_path / "more.png", "red", "white")]
    evaluation = Evaluation(System(None, MODEL), [pool], more)
    assert all(len(ranked) == 5 for ranked in evaluation.run(pool, "text_to_image"))
    assert all(len(ranked) == 4 for ranked in evaluation.run(pool, "image_to_text"))
    ranked = evaluation.run(pool, "text_to_image")[0]
    assert set(ranked[:2]) == {0, 4}


def test_scores_of_both_directions_and_of_folds(pool: Pool) -> None:
    evaluation = Evaluation(System(MODEL, MODEL, 4), [pool])
    assert [one.percent["R@1"] for one in evaluation.scores()] == [100, 100]
    folds = pool.folds(2)
    assert [fold.fits for fold in folds] == [((0,), (1,)), ((0,), (1,))]
    (both,) = merged(Evaluation(System(MODEL, MODEL, 2), folds).scores(["text_to_image"]))
    assert len(both.judged) == 4
    with pytest.raises(DataError, match="4 pictures in 3 equal folds"):
        pool.folds(3)


def test_a_text_may_fit_several_pictures(pool: Pool) -> None:
    pool = Pool("en", ("red",), pool.images, ((1, 0),))
    (to_image, to_text) = Evaluation(System(MODEL, MODEL, 1), [pool]).scores()
    assert to_image.percent["nDCG@10"] == pytest.approx(100)
    assert [one.right for one in to_text.judged] == [1, 1, 0, 0]


def test_each_stage_is_timed(pool: Pool) -> None:
    spent = Evaluation(System(MODEL, MODEL, 2), [pool]).milliseconds(pool)
    assert set(spent) == {"text", "retrieve", "rerank", "total"}
    assert 0 < spent["rerank"] < spent["total"]


@pytest.mark.parametrize(
    ("system", "pairs"), [(lambda model: System(model, model, 2), 2), (lambda model: System(None, model), 4)]
)
def test_the_time_is_that_of_one_text_and_its_candidates(pool: Pool, system, pairs: int) -> None:
    class Counting(ColourModel):
        read_one: tuple[str, ...] = ()
        matched: tuple[int, ...] = ()

        def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
            self.read_one += tuple(texts) if len(texts) == 1 else ()
            return super().tokenize(texts, languages)

        def match(self, text: TokenStates, images: TokenStates, depth: int = 0) -> Float[Tensor, " pairs"]:
            self.matched += (len(text),)
            return super().match(text, images, depth)

    model = Counting()
    evaluation = Evaluation(system(model), [pool])
    evaluation.milliseconds(pool, queries=3)
    assert model.read_one == (TEXTS[-1], *TEXTS[:3]), "the first is not timed"
    assert model.matched == (pairs,) * (1 + 3)
    spent = evaluation.milliseconds(pool, queries=1)
    assert spent.pop("total") == pytest.approx(sum(spent.values()), abs=0.01)


def test_pictures_are_read_once_for_all_languages(pool: Pool) -> None:
    model = ColourModel()
    Evaluation(System(model, model, 1), [pool, Pool("de", ("rot",), pool.images[:1], ((0,),))])
    assert model.pictures_read == 4


def test_what_cannot_be_measured_is_refused(pool: Pool) -> None:
    with pytest.raises(DataError, match="expected 5 items or more in en to choose candidates from, got 4"):
        Evaluation(System(MODEL, MODEL, 5), [pool])
    for system, reason in (
        (lambda: System(None, None), "got neither"),
        (lambda: System(MODEL, MODEL, 0), "one candidate or more"),
        (lambda: System(MODEL, MODEL, 2, 1.5), r"a blend from 0 to 1, got 1\.5"),
    ):
        with pytest.raises(ConfigurationError, match=reason):
            system()


def test_pictures_that_cannot_be_read_leave_with_their_texts_and_are_named(pool: Pool, tmp_path: Path) -> None:
    torn, empty = tmp_path / "torn.png", tmp_path / "empty.png"
    torn.write_bytes(b"\x89PNG\r\n")
    empty.touch()
    fits = ((0, 1), (1,), (2,), (0,), (3,), (4,))
    mixed = Pool("en", ("green", *TEXTS[:2], "green", *TEXTS[2:]), (torn, *pool.images), fits)
    evaluation = Evaluation(System(MODEL, MODEL, 3), [mixed], [empty, tmp_path / "0.png"])
    assert list(evaluation.skipped) == [str(torn), str(empty)]
    assert all(evaluation.skipped.values())
    assert evaluation.pools == [pool]
    assert [ranked[0] for ranked in evaluation.run(evaluation.pools[0], "text_to_image")] == [0, 1, 2, 3]
    with pytest.raises(DataError, match=r"1 of the pictures cannot be read: .*torn\.png"):
        Evaluation(System(MODEL, None), [Pool("en", ("a",), (torn,), ((0,),))])
    two = [pool, Pool("de", ("a",), (torn,), ((0,),))]
    with pytest.raises(DataError, match="expected pictures in de to search, but none can be read"):
        Evaluation(System(MODEL, None), two)


def test_chance_is_a_random_order(pool: Pool) -> None:
    assert chance([pool]) == (25.0, 8)
    assert chance([Pool("en", ("a", "b"), pool.images, ((0, 1), (2,)))], ["text_to_image"]) == (37.5, 2)
