"""A single-stream model that reads pictures with a classifier of photographs beside its own layers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from polyglance.data.captions import Caption
from polyglance.data.tokenization import Tokenizer
from polyglance.errors import ConfigurationError
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.single_stream import SingleStreamConfig, SingleStreamModel
from polyglance.models.protocol import ImageBatch
from polyglance.nn.states import TokenStates
from polyglance.training.retrieval.caption_batches import CaptionSource
from polyglance.training.retrieval.objectives import RetrievalLosses, RetrievalSettings
from polyglance.training.vqa import VqaSettings, is_trained

CONFIG = SingleStreamConfig(
    vocabulary=300,
    answers=("yes", "no"),
    languages=("en",),
    layers=3,
    first_joint_layer=1,
    width=32,
    heads=2,
    feed_forward=64,
    state_width=16,
    embedding_dim=24,
    stem=(8, 8, 8, 32),
    eyes="tf_efficientnet_lite0",
)


@pytest.fixture(scope="module")
def model() -> SingleStreamModel:
    torch.manual_seed(0)
    made = SingleStreamModel(CONFIG, Tokenizer.train(["a red star"] * 3, 300), "seeing").eval()
    torch.nn.init.normal_(made.eyes.class_vectors)
    torch.nn.init.normal_(made.eyes.network.classifier.bias, std=3)  # as sure of its classes as a trained one
    return made


@pytest.fixture(scope="module")
def pictures() -> ImageBatch:
    generator = torch.Generator().manual_seed(0)
    return ImageBatch(torch.randint(0, 256, (2, 3, 256, 256), dtype=torch.uint8, generator=generator))


def test_the_whole_picture_is_one_more_state_which_compression_leaves_as_it_is(
    model: SingleStreamModel, pictures: ImageBatch
) -> None:
    states = model.read_images(pictures)
    assert states.hidden.shape == (2, 17, 16)
    grid, whole = model.eyes(pictures.pixels)
    assert torch.equal(states.hidden[:, -1], whole)
    network = model.eyes.network
    logits = network.logits(network(pictures.pixels))
    mixture = (logits / 1.75).softmax(dim=1) @ model.eyes.class_vectors
    torch.testing.assert_close(whole, torch.nn.functional.normalize(mixture, dim=1) * 4)
    torch.testing.assert_close(whole.square().mean(dim=1), torch.ones(2))
    torch.testing.assert_close(model.compress(model.see_beside(pictures.pixels, grid, whole)).hidden, states.hidden)


def test_the_vector_of_the_whole_picture_is_part_of_the_embedding(
    model: SingleStreamModel, pictures: ImageBatch
) -> None:
    states = model.read_images(pictures)
    other = TokenStates(states.hidden.clone(), states.mask, "image")
    other.hidden[:, -1] *= -1
    assert (model.embed(states) * model.embed(other)).sum(dim=1).max() < 0.999
    text = model.read_text(model.tokenize(["a red star", "star"]))
    assert model.match(text, states).shape == (2,)
    assert not torch.equal(model.match(text, states), model.match(text, other))


def test_what_the_classifier_was_trained_for_is_not_trained_again(
    model: SingleStreamModel, pictures: ImageBatch
) -> None:
    model.train().requires_grad_(True)
    model.embed(model.read_images(pictures)).sum().backward()
    trained = {name.split(".")[0] for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    model.eval()
    model.eyes.requires_grad_(False)
    assert {"stem", "eyes_project", "image_layers", "compressor", "joint_layers", "whole_head"} <= trained
    assert "eyes" not in trained


def test_it_is_saved_and_loaded(model: SingleStreamModel, pictures: ImageBatch, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model", torch.float32)
    loaded = load_folder(tmp_path / "model", torch.float32)
    assert isinstance(loaded, SingleStreamModel)
    assert torch.equal(loaded.embed(loaded.read_images(pictures)), model.embed(model.read_images(pictures)))


def test_no_training_changes_what_was_published(model: SingleStreamModel, tmp_path: Path) -> None:
    captions = [Caption(tmp_path / f"{row}.png", f"a red star {row}", "en", "train") for row in range(4)]
    retrieval = RetrievalSettings(batch=2)
    trained = {
        name.split(".")[0]
        for name, weight in RetrievalLosses(model, CaptionSource(captions, 2, 0), retrieval).model.named_parameters()
        if weight.requires_grad
    }
    assert {"stem", "eyes_project", "whole_head"} <= trained
    assert "eyes" not in trained
    assert not any(
        is_trained(name, model, VqaSettings(all_weights=True)) for name in ("eyes.class_vectors", "whole_head.weight")
    )
    assert is_trained("eyes_project.1.weight", model, VqaSettings(all_weights=True))
    model.requires_grad_(False)


@pytest.mark.parametrize(
    "changed", [{"eyes": "resnet"}, {"sight": "patches"}, {"stem": (8, 8, 32)}, {"state_width": 48}]
)
def test_eyes_that_do_not_fit_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected eyes of tf_efficientnet_lite0"):
        replace(CONFIG, **changed)
