import pytest
import torch
from PIL import Image

from polyglance.errors import ConfigurationError
from polyglance.models import BUNDLED
from polyglance.models.pair_scorers import MatcherScorer, load_reranker
from tests.fakes import ColourModel

RED, GREEN = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "green")


def test_a_joint_model_scores_pairs_from_pixels() -> None:
    scores = MatcherScorer(ColourModel()).log_odds(["red", "green", "red"], [RED, RED, GREEN])
    assert scores[0] > 0 > scores[1]
    assert scores[2] < 0


def test_what_stands_in_several_pairs_is_read_once() -> None:
    model = ColourModel()
    one_by_one = [MatcherScorer(model).log_odds([text], [image]) for text in ("red", "green") for image in (RED, GREEN)]
    model.pictures_read = 0
    scores = MatcherScorer(model).log_odds(["red", "red", "green", "green"], [RED, GREEN, RED, GREEN])
    assert model.pictures_read == 2
    torch.testing.assert_close(scores, torch.cat(one_by_one))


def test_scores_are_calibrated() -> None:
    plain, calibrated = ColourModel(), ColourModel(calibration=(2.0, -1.0))
    expected = 2 * MatcherScorer(plain).log_odds(["red"], [RED]) - 1
    torch.testing.assert_close(MatcherScorer(calibrated).log_odds(["red"], [RED]), expected)


def test_the_cosine_weighs_in_scores() -> None:
    alone, together = ColourModel(), ColourModel(cosine_weight=3.0, calibration=(2.0, -1.0))
    texts, images = ["red", "green", "red"], [RED, RED, GREEN]
    cosines = torch.tensor([1.0, 0.0, 0.0])
    expected = 2 * (MatcherScorer(alone).log_odds(texts, images) + 3 * cosines) - 1
    torch.testing.assert_close(MatcherScorer(together).log_odds(texts, images), expected, atol=0.02, rtol=0)


def test_a_model_that_does_not_match_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="trained to embed and answer: name another"):
        MatcherScorer(ColourModel(tasks=("embed", "answer")))


def test_the_bundled_model_reranks() -> None:
    reranker = load_reranker(BUNDLED)
    assert reranker.name == BUNDLED
    assert reranker.log_odds(["a red star"], [RED]).shape == (1,)
