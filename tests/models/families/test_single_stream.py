from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from polyglance.adapters.config import AdapterConfig
from polyglance.errors import ConfigurationError
from polyglance.models.checkpoint import load_folder
from polyglance.models.families.single_stream import SingleStreamConfig, SingleStreamModel
from polyglance.models.protocol import ImageBatch
from polyglance.nn.states import TokenStates
from tests.journeys.tiny import save_tiny_model

TEXTS = ["a red star", "a star", "", "a very long line of stars on a white plate beside many other red stars"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SingleStreamModel:
    return load_folder(save_tiny_model(tmp_path_factory.mktemp("tiny")), torch.float32)


def pictures(count: int) -> ImageBatch:
    return ImageBatch(torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.manual_seed(1)))


def test_shapes_of_everything_that_is_read_and_asked(model: SingleStreamModel) -> None:
    texts, images = model.read_text(model.tokenize(TEXTS)), model.read_images(pictures(4))
    assert texts.hidden.shape == (4, texts.mask.shape[1], 16)
    assert images.hidden.shape == (4, 4, 8)
    assert images.mask.all()
    assert model.embed(texts).shape == model.embed(images).shape == (4, model.embedding_dim)
    assert model.match(texts, images).shape == (4,)
    assert model.answer_logits(texts, images).shape == (4, len(model.answers))
    result, halfway = model.joint("match", texts, images)
    assert result.shape == (4, 16)
    assert halfway.shape == (4, 1 + texts.mask.shape[1] + 4, 16)


def test_vectors_have_unit_length(model: SingleStreamModel) -> None:
    for states in (model.read_text(model.tokenize(TEXTS)), model.read_images(pictures(3))):
        torch.testing.assert_close(model.embed(states).norm(dim=-1), torch.ones(len(states)))


def test_a_row_does_not_depend_on_its_neighbours(model: SingleStreamModel) -> None:
    texts, images = model.read_text(model.tokenize(TEXTS)), model.read_images(pictures(4))
    together = model.embed(texts), model.match(texts, images), model.answer_logits(texts, images), model.embed(images)
    for row, text in enumerate(TEXTS):
        one, picture = model.read_text(model.tokenize([text])), images[[row]]
        alone = model.embed(one), model.match(one, picture), model.answer_logits(one, picture), model.embed(picture)
        for all_rows, single in zip(together, alone, strict=True):
            torch.testing.assert_close(all_rows[row], single[0], atol=1e-5, rtol=1e-5)


def test_below_the_cut_a_modality_sees_itself_alone_and_above_it_both(model: SingleStreamModel) -> None:
    text = model.read_text(model.tokenize(["a red star"]))
    one, other = model.read_images(pictures(2))[[0]], model.read_images(pictures(2))[[1]]
    assert not torch.allclose(model.match(text, one), model.match(text, other))
    assert not torch.allclose(model.answer_logits(text, one), model.answer_logits(text, other))


def adapted(model: SingleStreamModel) -> SingleStreamModel:
    """With three joint layers, and adapters that do something there."""
    torch.manual_seed(2)
    config = replace(model.config, layers=4, task_adapters=AdapterConfig(reduction_factor=2))
    made = SingleStreamModel(config, model.tokenizer).eval()
    for weights in made.task_adapters.parameters():
        nn.init.normal_(weights, std=0.3)
    return made


@pytest.mark.parametrize("depth", range(4))
def test_a_match_at_a_depth_is_one_with_the_lower_adapters_gone(model: SingleStreamModel, depth: int) -> None:
    whole = adapted(model)
    texts, images = whole.read_text(whole.tokenize(TEXTS)), whole.read_images(pictures(4))
    without = deepcopy(whole)
    adapter = without.task_adapters.adapters["match"]
    with torch.no_grad():
        for weights in (adapter.up, adapter.up_bias):  # what an adapter adds is nothing without these
            weights[:depth] = 0
    matched = whole.match(texts, images, depth)
    torch.testing.assert_close(matched, without.match(texts, images), atol=1e-5, rtol=1e-5)
    assert (matched - whole.match(texts, images)).abs().max() > 1e-3 or depth == 0


def test_a_depth_that_a_model_does_not_have_is_refused(model: SingleStreamModel) -> None:
    for without_or_with, depth in ((model, 1), (adapted(model), 4), (adapted(model), -1)):
        texts, images = model.read_text(model.tokenize(TEXTS[:1])), model.read_images(pictures(1))
        with pytest.raises(ConfigurationError, match="depth of 0"):
            without_or_with.match(texts, images, depth)


def test_stored_states_give_nearly_the_same_scores(model: SingleStreamModel) -> None:
    texts, images = model.read_text(model.tokenize(TEXTS)), model.read_images(pictures(4))
    stored = TokenStates.load(images.store(), "image", "cpu")
    torch.testing.assert_close(model.match(texts, stored), model.match(texts, images), atol=0.02, rtol=0.05)


def test_stored_states_of_both_are_taken_in_half_precision(tmp_path: Path) -> None:
    model = load_folder(save_tiny_model(tmp_path / "tiny"), torch.bfloat16)
    texts, images = model.read_text(model.tokenize(TEXTS[:2])), model.read_images(pictures(2))
    stored = TokenStates.load(texts.store(), "text", "cpu"), TokenStates.load(images.store(), "image", "cpu")
    torch.testing.assert_close(model.match(*stored), model.match(texts, images), atol=0.05, rtol=0.05)


def test_nothing_is_recorded_for_gradients_outside_training(model: SingleStreamModel) -> None:
    texts = model.read_text(model.tokenize(TEXTS))
    assert not texts.hidden.requires_grad
    assert not model.embed(texts).requires_grad


def test_pictures_of_any_shape_are_fitted_onto_white(model: SingleStreamModel) -> None:
    wide = model.preprocess(Image.new("RGB", (400, 100), "red"))
    assert wide.shape == (3, 32, 32)
    assert wide.dtype == np.uint8
    assert (wide[:, 0, 0] == 255).all()
    assert tuple(wide[:, 16, 16]) == (255, 0, 0)
    assert model.preprocess(Image.new("RGB", (1, 5000))).shape == (3, 32, 32)


def test_a_text_over_the_limit_is_cut(model: SingleStreamModel) -> None:
    assert model.tokenize(["star " * 500]).ids.shape == (1, 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first_joint_layer": 2}, "between 0 and"),
        ({"first_joint_layer": -1}, "between 0 and"),
        ({"sight": "regions"}, "compression queries or none for regions"),
        ({"sight": "patches", "compression": "queries", "patch": 5}, "patches of 5 pixels to divide"),
        ({"compression": "none"}, "state_width to be the width 16"),
        ({"heads": 3}, "multiple"),
        ({"calibration": (0.0, 1.0)}, "slope above 0"),
        ({"calibration": (1.0, float("nan"))}, "slope above 0"),
        ({"cosine_weight": -1.0}, "0 or above"),
        ({"cosine_weight": float("nan")}, "0 or above"),
        ({"recall_by_depth": (90.0, 91.0)}, "at most 1 depths"),
        ({"recall_by_depth": (-1.0,)}, "percentages"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_refused(
    model: SingleStreamModel, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        replace(model.config, **change)


def test_sizes_follow_from_the_stem() -> None:
    assert SingleStreamConfig(vocabulary=10, answers=("yes",), languages=("en",)).image_grid == 8


def test_the_same_folder_gives_the_same_model(tmp_path: Path) -> None:
    one, two = load_folder(save_tiny_model(tmp_path / "a")), load_folder(save_tiny_model(tmp_path / "b"))
    other = load_folder(save_tiny_model(tmp_path / "c", seed=1))
    assert one.fingerprint == two.fingerprint != other.fingerprint
