"""Models composed of an image network and a text encoder."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from polyglance.adapters.config import AdapterConfig
from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.composed import ComposedModel
from polyglance.models.families.text_encoder import load_text_encoder
from polyglance.models.importing.composing import compose
from polyglance.types import Text
from tests.backbone_checkpoints import BACKBONES, CLASSES, composed, convnext, vit
from tests.checkpoints import pictures
from tests.single_stream_checkpoints import telling_bert

EXACT = {"atol": 1e-5, "rtol": 1e-5}
TEXTS = ("a red star", "this is a plate", "star on a plate ?")


def loaded(folder: Path) -> ComposedModel:
    model = load_folder(folder, torch.float32)
    assert isinstance(model, ComposedModel)
    return model


@pytest.mark.parametrize("name", ["dinov2 with registers", "swin", "efficientnet-lite"])
def test_it_searches_before_it_was_trained(name: str, tmp_path: Path) -> None:
    model = loaded(composed(tmp_path / "model", BACKBONES[name]))
    assert model.tasks == ("embed",)
    images = model.encode_images(pictures(tmp_path / "pictures"))
    texts = model.encode_texts(TEXTS, "en")
    assert images.shape == (4, model.embedding_dim)
    assert texts.shape == (3, model.embedding_dim)


def test_a_picture_lies_among_the_names_of_its_classes(tmp_path: Path) -> None:
    """Equation of ConSE: the mean of the names' vectors, weighted by the classes' probabilities."""
    network, folder = vit(tmp_path / "images"), tmp_path / "composed"
    telling_bert(tmp_path / "texts")
    compose(str(tmp_path / "images"), str(tmp_path / "texts"), folder)
    model = loaded(folder)
    encoder = load_text_encoder(tmp_path / "texts", torch.float32)

    def of(name: str) -> torch.Tensor:
        batch = model.tokenize([f"a photo of {name}"])
        return torch.nn.functional.normalize(encoder(batch.ids, batch.mask).mean(dim=1), dim=1)[0]

    vectors = [of("red star"), (of("white plate") + of("plate")) / 2, of("a star on a plate")]
    names = torch.stack(vectors) - torch.stack(vectors).mean(dim=0)
    picture = model.open(Image.new("RGB", (40, 30), "red"))
    values = model.tower.normalised(torch.from_numpy(picture.values)[None], torch.float32)
    with torch.inference_mode():
        expected = network(values).logits.softmax(dim=1) @ names
    found = model.embed(model.read([picture]))
    assert_close(found, torch.nn.functional.normalize(expected, dim=1), atol=0.01, rtol=0.01)  # kept in bfloat16
    batch, centre = model.tokenize(["a red star"]), torch.stack(vectors).mean(dim=0)
    text = torch.nn.functional.normalize(encoder(batch.ids, batch.mask).mean(dim=1), dim=1) - centre
    own = model.read_text(batch).vector
    assert_close(own, torch.nn.functional.normalize(text, dim=1), atol=0.01, rtol=0.01)


def test_projections_leave_values_out_in_training_alone(tmp_path: Path) -> None:
    model = loaded(composed(tmp_path / "model"))
    for layer in (model.text_projection.out, model.image_projection.out, model.image_projection.direct):
        torch.nn.init.normal_(layer.weight)
    tokens, pooled = torch.randn(4, 9, 32), torch.randn(4, model.embedding_dim)
    summary = torch.randn(4, model.image_projection.by_class.classifier.in_features)

    def projected() -> tuple[torch.Tensor, torch.Tensor]:
        return model.text_projection(pooled), model.image_projection(tokens, summary)

    model.eval()
    for first, second in zip(projected(), projected(), strict=True):
        assert_close(first, second, atol=0, rtol=0)
    model.train()
    for first, second in zip(projected(), projected(), strict=True):
        assert (first - second).abs().max() > 0.1


def test_joint_layers_begin_as_the_upper_layers_of_the_text_encoder(tmp_path: Path) -> None:
    model = loaded(composed(tmp_path / "model"))
    encoder = load_text_encoder(tmp_path / "model-texts", torch.float32)
    batch = model.tokenize(TEXTS)
    states = model.read_text(batch)
    with torch.inference_mode():
        upper = model.joint_layers(model.expand_text(states.hidden), batch.mask)
        whole = encoder(batch.ids, batch.mask)
    assert_close(upper, whole, atol=0.05, rtol=0.05)  # kept in bfloat16
    assert model.config.layers == 1


def test_without_class_names_it_must_be_trained_first(tmp_path: Path) -> None:
    model = loaded(composed(tmp_path / "model", convnext, classes=False))
    assert model.tasks == ()
    assert model.image_projection.by_class is None
    with pytest.raises(ConfigurationError, match="trained to nothing yet"):
        model.encode_texts(TEXTS)


def test_adapters_act_in_both_networks_where_layers_are_alike(tmp_path: Path) -> None:
    plain = loaded(composed(tmp_path / "model"))
    model = plain.in_shape(tower_adapters=AdapterConfig())
    assert set(model.tower_adapters) == {"text", "image"}
    picture, texts = plain.open(Image.new("RGB", (40, 30), "red")), [Text(text) for text in TEXTS]
    state = {**model.state_dict(), **plain.state_dict()}
    model.load_state_dict(state)
    assert not torch.equal(model.read(texts).hidden, plain.read(texts).hidden)
    assert not torch.equal(model.read([picture]).hidden, plain.read([picture]).hidden)
    stages = loaded(composed(tmp_path / "stages", convnext)).in_shape(tower_adapters=AdapterConfig())
    assert set(stages.tower_adapters) == {"text"}


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    model = loaded(composed(tmp_path / "model"))
    save_model(model, tmp_path / "saved", torch.float32)
    again = loaded(tmp_path / "saved")
    assert_close(again.encode_texts(TEXTS), model.encode_texts(TEXTS), **EXACT)
    files = pictures(tmp_path / "pictures")
    assert_close(again.encode_images(files), model.encode_images(files), **EXACT)
    assert again.tower.fingerprint == model.tower.fingerprint


def test_how_texts_are_read_is_taken_from_the_files_beside_them(tmp_path: Path) -> None:
    vit(tmp_path / "images")
    telling_bert(tmp_path / "texts")
    (tmp_path / "texts" / "1_Pooling").mkdir()
    (tmp_path / "texts" / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 24, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    )
    (tmp_path / "texts" / "config_sentence_transformers.json").write_text('{"prompts": {"query": "this is "}}')
    report = compose(str(tmp_path / "images"), str(tmp_path / "texts"), tmp_path / "composed", languages=("de",))
    assert (report.pooling, report.text_prefix, report.languages) == ("cls", "this is ", ("de",))
    model = loaded(tmp_path / "composed")
    batch = model.tokenize(["a red star"])
    assert batch.ids.shape == loaded(composed(tmp_path / "plain")).tokenize(["this is a red star"]).ids.shape
    encoder = load_text_encoder(tmp_path / "texts", torch.float32)
    with torch.inference_mode():
        assert_close(model.lower_text(batch).vector, encoder(batch.ids, batch.mask)[:, 0], **EXACT)


def test_another_way_to_make_vectors_is_refused(tmp_path: Path) -> None:
    vit(tmp_path / "images")
    telling_bert(tmp_path / "texts")
    (tmp_path / "texts" / "1_Pooling").mkdir()
    (tmp_path / "texts" / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(CheckpointError, match="the mean or the first of its tokens, got pooling_mode_max_tokens"):
        compose(str(tmp_path / "images"), str(tmp_path / "texts"), tmp_path / "composed")
    assert not (tmp_path / "composed").exists()


def test_more_joint_layers_than_text_layers_are_refused(tmp_path: Path) -> None:
    vit(tmp_path / "images")
    telling_bert(tmp_path / "texts")
    with pytest.raises(ConfigurationError, match="expected at most 3 joint layers, as many as the text encoder has"):
        compose(str(tmp_path / "images"), str(tmp_path / "texts"), tmp_path / "composed", joint_layers=4)


def test_networks_in_the_wrong_places_are_refused(tmp_path: Path) -> None:
    vit(tmp_path / "images")
    telling_bert(tmp_path / "texts")
    with pytest.raises(CheckpointError, match="no image network that can be composed"):
        compose(str(tmp_path / "texts"), str(tmp_path / "texts"), tmp_path / "one")
    with pytest.raises(CheckpointError, match="no text encoder that is known"):
        compose(str(tmp_path / "images"), str(tmp_path / "images"), tmp_path / "other")


def test_classes_are_those_of_the_network(tmp_path: Path) -> None:
    vit(tmp_path / "images")
    telling_bert(tmp_path / "texts")
    report = compose(str(tmp_path / "images"), str(tmp_path / "texts"), tmp_path / "composed", kept_grid=2)
    assert report.classes == len(CLASSES)
    assert report.kept_grid == 2
    assert report.grid == 4
